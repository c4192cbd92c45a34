// SPDX-License-Identifier: Apache-2.0
#include "base/mapping.h"

#include "base/error.h"

namespace pando {

namespace {

Mapping map(void* at, size_t bytes, int protection, int flags, int fd, off_t offset) {
  void* data = ::mmap(at, bytes, protection, flags, fd, offset);
  if (data == MAP_FAILED) throw HostError("mmap", errno);
  return Mapping(data, bytes);
}

}  // namespace

Mapping Mapping::shared_file(int fd, size_t bytes, int protection, off_t offset) {
  return map(nullptr, bytes, protection, MAP_SHARED, fd, offset);
}

Mapping Mapping::shared_file_at(uint64_t address, int fd, size_t bytes, int protection, off_t offset) {
  return map(reinterpret_cast<void*>(address), bytes, protection, MAP_SHARED | MAP_FIXED_NOREPLACE, fd,
             offset);
}

Mapping Mapping::anonymous(size_t bytes, int protection) {
  return map(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

Mapping Mapping::populated(size_t bytes) {
  return map(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
}

Mapping Mapping::shared_anonymous(size_t bytes, int protection) {
  return map(nullptr, bytes, protection, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

}  // namespace pando
