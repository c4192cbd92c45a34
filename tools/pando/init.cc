// SPDX-License-Identifier: Apache-2.0
// pando init FILE: lasting certificates for a cluster file.
#include <cstdio>
#include <memory>

#include "base/error.h"
#include "tools/cluster/certificates.h"
#include "tools/cluster/outcome.h"
#include "tools/pando/command.h"

namespace pando::cli {
namespace {

int init(const std::string& file, const std::string& folder_option) {
  const config::ClusterConfig config = config::load_cluster_config(file);
  const std::string folder =
      folder_option.empty() ? config.security.directory.value_or("") : folder_option;
  if (folder.empty()) {
    throw UserError(file +
                    ": has no security.directory; add it, or name the folder with -o FOLDER");
  }
  for (const std::string& written : cluster::write_certificates(config, folder))
    std::puts(written.c_str());
  return cluster::kExitFine;
}

}  // namespace

void add_init(CLI::App& app, int& exit_code) {
  auto file = std::make_shared<std::string>();
  auto folder = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand(
      "init", "make lasting certificates for a cluster (else every start makes its own)");
  command->add_option("FILE", *file, "cluster file")->required();
  command->add_option("-o,--output", *folder, "folder; default: the file's security.directory");
  command->callback([=, &exit_code] { exit_code = init(*file, *folder); });
}

}  // namespace pando::cli
