// SPDX-License-Identifier: Apache-2.0
#include "tools/cpio/archive.h"

#include <sys/stat.h>

#include <array>
#include <cstdio>

#include "base/error.h"

namespace pando::cpio {
namespace {

constexpr size_t kNameMax = 4095;  // the kernel's PATH_MAX - 1
constexpr uint64_t kContentMax = 0xffffffffu;
constexpr size_t kHeaderBytes = 110;
constexpr const char* kTrailer = "TRAILER!!!";

}  // namespace

void Archive::write(std::string_view bytes) {
  sink_(bytes);
  written_ += bytes.size();
}

void Archive::pad_to(uint64_t alignment) {
  static constexpr char zeros[512] = {};
  const uint64_t over = written_ % alignment;
  if (over != 0) write({zeros, alignment - over});
}

void Archive::begin(const Entry& entry, uint64_t content_bytes) {
  CHECK(content_left_ == 0);
  const bool bad_name = entry.name.empty() || entry.name.size() > kNameMax ||
                        entry.name.find('\0') != entry.name.npos;
  if (bad_name)
    throw UserError("'" + entry.name.substr(0, 60) +
                    "' cannot be a name in an initramfs; rename it");
  if (content_bytes > kContentMax) {
    throw UserError(entry.name +
                    " has 4 GiB or more, which an initramfs cannot hold; leave it out");
  }
  const uint32_t inode = entry.inode != 0 ? entry.inode : next_inode_++;
  std::array<char, kHeaderBytes + 1> header{};
  const int length = std::snprintf(
      header.data(), header.size(), "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
      inode, entry.mode, entry.uid, entry.gid, entry.links, entry.mtime,
      static_cast<uint32_t>(content_bytes), 0u, 0u, entry.device_major, entry.device_minor,
      static_cast<uint32_t>(entry.name.size() + 1), 0u);
  CHECK(length == static_cast<int>(kHeaderBytes));
  write({header.data(), kHeaderBytes});
  write({entry.name.c_str(), entry.name.size() + 1});
  pad_to(4);
  content_left_ = content_bytes;
}

void Archive::append(std::string_view piece) {
  CHECK(piece.size() <= content_left_);
  content_left_ -= piece.size();
  write(piece);
  if (content_left_ == 0) pad_to(4);
}

void Archive::add(const Entry& entry, std::string_view content) {
  begin(entry, content.size());
  append(content);
}

void Archive::add_folder(const std::string& name) {
  add({.name = name, .mode = S_IFDIR | 0755, .links = 2});
}

void Archive::add_file(const std::string& name, std::string_view content) {
  add({.name = name, .mode = S_IFREG | 0644}, content);
}

void Archive::finish() {
  add({.name = kTrailer, .mode = 0, .links = 1});
  pad_to(512);
}

}  // namespace pando::cpio
