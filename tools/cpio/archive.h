// SPDX-License-Identifier: Apache-2.0
// Writer of cpio archives of the "newc" form that the Linux kernel unpacks as an initramfs.
//
// Entries go to a sink in the order of the calls; folders must come before what they hold.  Not
// thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace pando::cpio {

// Takes the next bytes of the archive.  May throw.
using Sink = std::function<void(std::string_view bytes)>;

struct Entry {
  std::string name;   // path in the guest without the leading '/'
  uint32_t mode = 0;  // st_mode: type and permissions
  uint32_t uid = 0, gid = 0;
  uint32_t mtime = 0;  // seconds
  uint32_t inode = 0;  // 0 = a fresh one; equal ones with links > 1 are hard links
  uint32_t links = 1;
  uint32_t device_major = 0, device_minor = 0;  // of a device node
};

class Archive {
 public:
  explicit Archive(Sink sink) : sink_(std::move(sink)) {}

  // `content` is the file's bytes or the target of a symbolic link.  Throws UserError for a name
  // that the format cannot hold (empty, longer than 4095 bytes, with NUL) and for content of 4 GiB
  // or more.
  void add(const Entry& entry, std::string_view content = {});
  // The same for content that comes in pieces: begin() with its size, then exactly that much by
  // append().
  void begin(const Entry& entry, uint64_t content_bytes);
  void append(std::string_view piece);
  void add_folder(const std::string& name);                          // rwxr-xr-x, root
  void add_file(const std::string& name, std::string_view content);  // rw-r--r--, root
  // The trailer, padded to 512 bytes.  Once, last.
  void finish();

 private:
  void write(std::string_view bytes);
  void pad_to(uint64_t alignment);

  Sink sink_;
  uint64_t written_ = 0;
  uint64_t content_left_ = 0;
  uint32_t next_inode_ = 1u << 24;  // apart from those that callers number themselves
};

}  // namespace pando::cpio
