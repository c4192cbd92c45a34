// SPDX-License-Identifier: Apache-2.0
// Kernel and initrd images that the operator sent or named a file of, named by the SHA-256 of their content, each in a sealed memfd.
// Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "base/unique_fd.h"
#include "dsm/agent/sha256.h"

namespace pando::dsm {

inline constexpr uint64_t kImageBytesMax = uint64_t{2} << 30;
inline constexpr size_t kImagesMax = 16;

// One image being received.  add() and finish() return an empty string or a sentence that says what is wrong.
class ImageUpload {
 public:
  ImageUpload(std::string sha256, uint64_t total_bytes);
  std::string add(const std::string& data);
  std::string finish();  // checks length and hash, seals
  const std::string& sha256() const { return sha256_; }
  uint64_t bytes() const { return received_; }
  UniqueFd take_fd() { return std::move(fd_); }

 private:
  std::string sha256_;
  uint64_t total_bytes_;
  uint64_t received_ = 0;
  UniqueFd fd_;
  Sha256 digest_;
};

class ImageStore {
 public:
  bool has(const std::string& sha256) const;
  // False: the store is full.
  bool put(const std::string& sha256, UniqueFd fd);
  // Takes a copy of a file of this host if its content has that SHA-256.  False: it has not, cannot be read, or the store is full.
  bool take_file(const std::string& sha256, const std::string& path);
  // A new descriptor of its own offset 0; invalid when there is no such image.
  UniqueFd open(const std::string& sha256) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, UniqueFd> images_;
};

}  // namespace pando::dsm
