// SPDX-License-Identifier: Apache-2.0
// pando pack FOLDER -o FILE: a folder as an initramfs.
#include <cstdio>
#include <memory>

#include "tools/cluster/outcome.h"
#include "tools/config/quantity.h"
#include "tools/cpio/pack.h"
#include "tools/pando/command.h"

namespace pando::cli {
namespace {

int pack(const std::string& folder, const std::string& output) {
  const bool gzip = output.size() > 3 && output.compare(output.size() - 3, 3, ".gz") == 0;
  const cpio::Packed packed =
      cpio::pack_folder(folder, output, gzip ? cpio::Compression::Gzip : cpio::Compression::None);
  std::printf("%s: %llu entries, %llu KiB\n", output.c_str(),
              static_cast<unsigned long long>(packed.entries),
              static_cast<unsigned long long>(packed.archive_bytes >> 10));
  return cluster::kExitFine;
}

}  // namespace

void add_pack(CLI::App& app, int& exit_code) {
  auto folder = std::make_shared<std::string>();
  auto output = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("pack", "make an initramfs of a folder, for --initrd");
  command->add_option("FOLDER", *folder, "becomes the guest's root, owners and modes as they are")
      ->required();
  command->add_option("-o,--output", *output, "archive; compressed when its name ends with .gz")
      ->required();
  command->callback([=, &exit_code] { exit_code = pack(*folder, *output); });
}

}  // namespace pando::cli
