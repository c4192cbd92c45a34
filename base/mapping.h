// SPDX-License-Identifier: Apache-2.0
// Owner of a memory mapping of this process.  Unmaps on destruction; movable, not copyable.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace pando {

class Mapping {
 public:
  Mapping() = default;
  // Takes over [data, data + bytes).
  Mapping(void* data, size_t bytes) : data_(static_cast<uint8_t*>(data)), bytes_(bytes) {}
  Mapping(Mapping&& o) noexcept : data_(std::exchange(o.data_, nullptr)), bytes_(std::exchange(o.bytes_, 0)) {}
  Mapping& operator=(Mapping&& o) noexcept {
    if (this != &o) {
      unmap();
      data_ = std::exchange(o.data_, nullptr);
      bytes_ = std::exchange(o.bytes_, 0);
    }
    return *this;
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() { unmap(); }

  // Shared mapping of a file at any address.  Throws HostError.
  static Mapping shared_file(int fd, size_t bytes, int protection, off_t offset = 0);
  // Shared mapping of a file at a fixed address that must be free.  Throws HostError.
  static Mapping shared_file_at(uint64_t address, int fd, size_t bytes, int protection, off_t offset = 0);
  // Private zeroed memory.  Throws HostError.
  static Mapping anonymous(size_t bytes, int protection = PROT_READ | PROT_WRITE);
  // The same, with all its pages: a fault for each costs more than to fill them.
  static Mapping populated(size_t bytes);
  // Zeroed memory shared with children.  Throws HostError.
  static Mapping shared_anonymous(size_t bytes, int protection = PROT_READ | PROT_WRITE);

  uint8_t* data() const { return data_; }
  size_t size() const { return bytes_; }
  explicit operator bool() const { return data_ != nullptr; }

 private:
  void unmap() {
    if (data_) ::munmap(data_, bytes_);
    data_ = nullptr;
  }
  uint8_t* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace pando
