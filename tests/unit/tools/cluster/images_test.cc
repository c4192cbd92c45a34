// SPDX-License-Identifier: Apache-2.0
#include "tools/cluster/images.h"

#include <elf.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "base/error.h"
#include "tests/catch.h"
#include "tests/unit/tools/cluster/temporary_root.h"
#include "tools/tls/digest.h"

using namespace pando;
using namespace pando::cluster;
using Catch::Matchers::ContainsSubstring;

namespace {

std::string elf_header(uint16_t machine) {
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_type = ET_EXEC;
  header.e_machine = machine;
  return {reinterpret_cast<const char*>(&header), sizeof header};
}

struct Files {
  std::string put(const std::string& name, const std::string& content) const {
    std::ofstream(root.path + "/" + name, std::ios::binary) << content;
    return root.path + "/" + name;
  }
  TemporaryRoot root;
};

config::ClusterConfig with(const std::string& kernel, const std::string& initrd) {
  config::ClusterConfig config;
  config.kernel = kernel;
  config.initrds = {initrd};
  return config;
}

}  // namespace

TEST_CASE("images: good ones: opened and named by their digest, the command's archive last") {
  const Files files;
  const std::string kernel = elf_header(EM_X86_64) + "rest";
  Images images =
      open_images(with(files.put("k", kernel), files.put("i", "070701 and so on")), {}, "archive");
  name_images(images);
  CHECK(images.kernel.sha256 == tls::sha256(kernel));
  CHECK(images.kernel.bytes == kernel.size());
  REQUIRE(images.initrds.size() == 2);
  CHECK(images.initrds[1].sha256 == tls::sha256("archive"));
  std::string back(7, '\0');
  CHECK(::pread(images.initrds[1].fd.get(), back.data(), 7, 0) == 7);
  CHECK(back == "archive");
}

TEST_CASE("images: defaults: those of the installation") {
  const Files files;
  const Installation installation{.agent = "",
                                  .kernel = files.put("k", elf_header(EM_X86_64)),
                                  .initrd = files.put("i", std::string("\x1f\x8b\x08", 3))};
  const Images images = open_images(config::ClusterConfig{}, installation, "");
  CHECK(images.kernel.file == installation.kernel);
  REQUIRE(images.initrds.size() == 1);
  CHECK(images.initrds[0].file == installation.initrd);
}

TEST_CASE("images: bad ones: the file and the remedy are named") {
  const Files files;
  const std::string kernel = files.put("k", elf_header(EM_X86_64)),
                    initrd = files.put("i", "070701");
  const auto message = [](const std::string& k, const std::string& i) -> std::string {
    try {
      open_images(with(k, i), {}, "");
    } catch (const UserError& error) {
      return error.what();
    }
    return "accepted";
  };
  const std::string remedy = "; name another one, or make it with tools/build";
  CHECK(message(kernel, initrd) == "accepted");
  CHECK(message("/nowhere", initrd) ==
        "/nowhere: kernel cannot be read (No such file or directory)" + remedy);
  CHECK(message("/", initrd) == "/: kernel is not a file" + remedy);
  CHECK(message(files.put("e", ""), initrd) == files.root.path + "/e: kernel is empty" + remedy);
  CHECK(message(initrd, initrd) == initrd + ": kernel is no x86-64 ELF kernel image" + remedy);
  CHECK(message(files.put("arm", elf_header(EM_AARCH64)), initrd) ==
        files.root.path + "/arm: kernel is no x86-64 ELF kernel image" + remedy);
  CHECK(message(kernel, "/nowhere") ==
        "/nowhere: initrd cannot be read (No such file or directory)" + remedy);
  CHECK_THAT(message(kernel, kernel), ContainsSubstring("initrd is no cpio archive"));
}

TEST_CASE("images: command archive: the words of the command, each with its NUL") {
  const std::string archive = command_archive({{"sh", "-c", "echo hi"}, {"A=1"}, "/tmp"});
  CHECK_THAT(archive, ContainsSubstring(std::string("sh\0-c\0echo hi\0", 14)));
  CHECK_THAT(archive, ContainsSubstring(std::string("pando/run/env")));
  CHECK_THAT(archive, ContainsSubstring(std::string("A=1\0", 4)));
  CHECK_THAT(archive, ContainsSubstring(std::string("pando/run/cwd")));
  CHECK_THAT(command_archive({{"true"}, {}, ""}), !ContainsSubstring("pando/run/cwd"));
}
