// SPDX-License-Identifier: Apache-2.0
// The oracle is cpio(1): what pack_folder() wrote is unpacked by it and compared with the folder.
#include "tools/cpio/pack.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "tests/catch.h"

using namespace pando::cpio;
namespace fs = std::filesystem;

namespace {

struct TemporaryFolder {
  TemporaryFolder() {
    std::string pattern = (fs::temp_directory_path() / "pando-pack-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path = pattern;
  }
  ~TemporaryFolder() { fs::remove_all(path); }
  std::string path;
};

void write_file(const std::string& path, const std::string& content) {
  std::ofstream(path) << content;
}

int shell(const std::string& command) {
  return ::system(command.c_str());
}

void make_tree(const std::string& root) {
  fs::create_directories(root + "/bin/empty");
  write_file(root + "/bin/tool", "#!/bin/sh\n");
  fs::permissions(root + "/bin/tool", fs::perms(04755));
  write_file(root + "/big", std::string(700'000, 'b'));
  fs::create_symlink("bin/tool", root + "/link");
  fs::create_hard_link(root + "/big", root + "/zig");
  write_file(root + "/none", "");
}

void check_round_trip(Compression compression, const std::string& reader) {
  const TemporaryFolder work;
  make_tree(work.path + "/in");
  const std::string archive = work.path + "/out.cpio";
  const Packed packed = pack_folder(work.path + "/in", archive, compression);
  CHECK(packed.entries == 7);
  CHECK(packed.archive_bytes == fs::file_size(archive));
  fs::create_directory(work.path + "/back");
  REQUIRE(shell("cd " + work.path + "/back && " + reader + " " + archive +
                " | cpio -idm --quiet") == 0);
  CHECK(shell("diff -r --no-dereference " + work.path + "/in " + work.path + "/back") == 0);
  CHECK(fs::hard_link_count(work.path + "/back/big") == 2);
  CHECK(fs::read_symlink(work.path + "/back/link") == "bin/tool");
  CHECK(fs::status(work.path + "/back/bin/tool").permissions() == fs::perms(04755));
}

}  // namespace

TEST_CASE("cpio: pack: a packed folder comes back the same") {
  check_round_trip(Compression::None, "cat");
}

TEST_CASE("cpio: pack: a compressed one as well") {
  check_round_trip(Compression::Gzip, "zcat");
}

TEST_CASE("cpio: pack: the archive does not contain itself") {
  const TemporaryFolder work;
  make_tree(work.path);
  pack_folder(work.path, work.path + "/self.cpio", Compression::None);
  CHECK(pack_folder(work.path, work.path + "/self.cpio", Compression::None).entries == 7);
}

TEST_CASE("cpio: pack: mistakes are named and leave no file behind") {
  const TemporaryFolder work;
  CHECK_THROWS_WITH(pack_folder("/nowhere", work.path + "/x", Compression::None),
                    "/nowhere: is not a folder; name the folder that becomes the guest's root");
  CHECK_THROWS_AS(pack_folder(work.path, "/nowhere/x", Compression::None), pando::UserError);
  CHECK(fs::is_empty(work.path));
}
