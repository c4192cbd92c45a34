// SPDX-License-Identifier: Apache-2.0
#include "tools/cluster/images.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "tools/cpio/archive.h"
#include "tools/tls/digest.h"

namespace pando::cluster {
namespace {

constexpr const char* kMakeThem = "; name another one, or make it with tools/build";

Image open_image(const std::string& key, const std::string& file) {
  Image image;
  image.file = file;
  image.path = std::filesystem::absolute(file);
  image.fd.reset(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!image.fd)
    throw UserError(file + ": " + key + " cannot be read (" + std::strerror(errno) + ")" +
                    kMakeThem);
  struct stat status {};
  check_errno(::fstat(image.fd.get(), &status), ("fstat " + file).c_str());
  if (!S_ISREG(status.st_mode)) throw UserError(file + ": " + key + " is not a file" + kMakeThem);
  image.bytes = static_cast<uint64_t>(status.st_size);
  if (image.bytes == 0) throw UserError(file + ": " + key + " is empty" + kMakeThem);
  return image;
}

// The VMM checks the image in full; this finds plain mix-ups before anything is started.
void check_kernel(const Image& kernel) {
  Elf64_Ehdr header{};
  const bool whole =
      ::pread(kernel.fd.get(), &header, sizeof header, 0) == static_cast<ssize_t>(sizeof header);
  const bool elf = whole && std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 &&
                   header.e_ident[EI_CLASS] == ELFCLASS64 && header.e_machine == EM_X86_64 &&
                   header.e_type == ET_EXEC;
  if (!elf) throw UserError(kernel.file + ": kernel is no x86-64 ELF kernel image" + kMakeThem);
}

bool has_magic(const Image& image, std::string_view magic) {
  std::string start(magic.size(), '\0');
  return ::pread(image.fd.get(), start.data(), start.size(), 0) ==
             static_cast<ssize_t>(start.size()) &&
         start == magic;
}

void check_initrd(const Image& initrd) {
  for (const std::string_view magic : {"070701", "070702", "\x1f\x8b", "\x28\xb5\x2f\xfd",
                                       "\xfd"
                                       "7zXZ"}) {
    if (has_magic(initrd, magic)) return;
  }
  throw UserError(
      initrd.file +
      ": initrd is no cpio archive (newc, plain or compressed); make one with pando pack");
}

Image from_memory(const std::string& name, const std::string& bytes) {
  Image image;
  image.file = name;
  image.fd.reset(::memfd_create(name.c_str(), MFD_CLOEXEC));
  check_errno(image.fd.get(), "memfd_create");
  const ssize_t put = ::pwrite(image.fd.get(), bytes.data(), bytes.size(), 0);
  if (check_errno(put, "write to a memfd") != static_cast<long>(bytes.size()))
    throw HostError("write to a memfd", ENOSPC);
  image.bytes = bytes.size();
  return image;
}

std::string with_nuls(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += word + '\0';
  return out;
}

}  // namespace

Installation Installation::of_this_program() {
  const std::filesystem::path folder =
      std::filesystem::read_symlink("/proc/self/exe").parent_path();
  const std::filesystem::path guest = folder.parent_path() / "guest";
  return {
      .agent = folder / "pando-dsm", .kernel = guest / "vmlinux", .initrd = guest / "base.cpio.gz"};
}

Images open_images(const config::ClusterConfig& config, const Installation& installation,
                   const std::string& extra_initrd) {
  Images images;
  images.kernel = open_image("kernel", config.kernel.value_or(installation.kernel));
  check_kernel(images.kernel);
  const std::vector<std::string> initrds =
      config.initrds.value_or(std::vector{installation.initrd});
  for (const std::string& file : initrds) {
    images.initrds.push_back(open_image("initrd", file));
    check_initrd(images.initrds.back());
  }
  if (!extra_initrd.empty()) images.initrds.push_back(from_memory("command", extra_initrd));
  return images;
}

void name_images(Images& images) {
  const auto name = [](Image& image) {
    image.sha256 = tls::sha256_of_file(image.fd.get(), image.file);
  };
  name(images.kernel);
  for (Image& initrd : images.initrds) name(initrd);
}

std::string command_archive(const GuestCommand& command) {
  std::string out;
  cpio::Archive archive([&out](std::string_view bytes) { out += bytes; });
  archive.add_folder("pando");
  archive.add_folder("pando/run");
  archive.add_file("pando/run/argv", with_nuls(command.argv));
  if (!command.environment.empty())
    archive.add_file("pando/run/env", with_nuls(command.environment));
  if (!command.folder.empty()) archive.add_file("pando/run/cwd", command.folder + '\0');
  archive.finish();
  return out;
}

}  // namespace pando::cluster
