// SPDX-License-Identifier: Apache-2.0
#include "dsm/agent/image_store.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

namespace pando::dsm {

namespace {
constexpr size_t kFileChunk = 64 << 10;  // malloc has it at hand: a fresh mapping would fault page by page
}

ImageUpload::ImageUpload(std::string sha256, uint64_t total_bytes)
    : sha256_(std::move(sha256)), total_bytes_(total_bytes) {
  fd_.reset(static_cast<int>(
      check_errno(memfd_create("pando-image", MFD_CLOEXEC | MFD_ALLOW_SEALING), "memfd_create for an image")));
}

std::string ImageUpload::add(const std::string& data) {
  if (data.size() > total_bytes_ - received_) return "image is longer than announced";
  for (size_t done = 0; done < data.size();)
    done += static_cast<size_t>(check_errno(write(fd_.get(), data.data() + done, data.size() - done), "storing an image"));
  digest_.add(data);
  received_ += data.size();
  return {};
}

std::string ImageUpload::finish() {
  if (received_ != total_bytes_) return "image is shorter than announced";
  const std::string hex = digest_.hex();
  if (hex != sha256_) return "image has SHA-256 " + hex + ", announced was " + sha256_;
  // F_SEAL_WRITE fails (EBUSY) while the host's own memory management, compaction for example, holds a page. It differs for
  // mappings and pins that exist already; there are none, the content came by write(2).
  constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
  check_errno(fcntl(fd_.get(), F_ADD_SEALS, kSeals), "sealing an image");
  return {};
}

bool ImageStore::has(const std::string& sha256) const {
  const std::lock_guard guard(mutex_);
  return images_.contains(sha256);
}

bool ImageStore::put(const std::string& sha256, UniqueFd fd) {
  const std::lock_guard guard(mutex_);
  if (images_.contains(sha256)) return true;
  if (images_.size() >= kImagesMax) return false;
  images_.emplace(sha256, std::move(fd));
  return true;
}

bool ImageStore::take_file(const std::string& sha256, const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  struct stat status {};
  if (!file || fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) return false;
  const auto bytes = static_cast<uint64_t>(status.st_size);
  if (bytes > kImageBytesMax) return false;
  ImageUpload upload(sha256, bytes);
  std::string chunk;
  while (upload.bytes() < bytes) {
    chunk.resize(kFileChunk);
    const ssize_t got = read(file.get(), chunk.data(), chunk.size());
    if (got <= 0) return false;
    chunk.resize(static_cast<size_t>(got));
    if (!upload.add(chunk).empty()) return false;
  }
  return upload.finish().empty() && put(sha256, upload.take_fd());
}

UniqueFd ImageStore::open(const std::string& sha256) const {
  const std::lock_guard guard(mutex_);
  const auto it = images_.find(sha256);
  if (it == images_.end()) return {};
  const std::string path = "/proc/self/fd/" + std::to_string(it->second.get());
  return UniqueFd(static_cast<int>(check_errno(::open(path.c_str(), O_RDONLY | O_CLOEXEC), "opening an image")));
}

}  // namespace pando::dsm
