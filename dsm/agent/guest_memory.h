// SPDX-License-Identifier: Apache-2.0
// Guest RAM of this node: one sparse memfd of the whole guest's size.  A page that this node does not hold is a hole.
//
// The caller holds the page's lock word.  Revoking needs no knowledge of who maps the page: punching the hole takes it
// from every address space.  Any thread.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>

#include "base/types.h"
#include "base/unique_fd.h"

namespace pando::dsm {

using PageBytes = std::array<uint8_t, kPageSize>;

class GuestMemory {
 public:
  // Throws HostError.
  explicit GuestMemory(uint64_t bytes);

  int fd() const { return fd_.get(); }
  uint64_t bytes() const { return bytes_; }

  // Each for `count` pages from `first` on.
  void read(PageId first, uint32_t count, uint8_t* to) const;
  void write(PageId first, uint32_t count, const uint8_t* from) const;
  // Makes the pages holes: no mapping of any process reaches their content any more.
  void discard(PageId first, uint32_t count) const;
  // As discard, and returns the content with every store that was made before the last mapping went: the pipe holds
  // the pages themselves, not copies.
  void take(PageId first, uint32_t count, uint8_t* to);

 private:
  struct Pipe {
    UniqueFd read_end, write_end;
  };
  UniqueFd fd_;
  uint64_t bytes_;
  void take_chunk(PageId first, uint32_t count, uint8_t* to);
  std::mutex pipe_mutex_;
  Pipe pipe_;
  uint32_t pipe_pages_ = 0;
};

}  // namespace pando::dsm
