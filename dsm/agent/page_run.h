// SPDX-License-Identifier: Apache-2.0
// Pages next to each other that one message, or one action, is about: their lock words and their content.
//
// While a run is under way, a lock word is taken when it is first needed and kept until end(), and what is to happen to
// content is put together: adjacent pages are written, punched and read by one system call.  Nobody sees the difference:
// no mapping can be made without the lock word.  Under the engine's mutex.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <vector>

#include "base/types.h"
#include "dsm/agent/guest_memory.h"
#include "dsm/shm/control_memory.h"

namespace pando::dsm {

class PageRun {
 public:
  static constexpr uint32_t kPagesMax = 64;

  // Told when a client does not give back a lock word.
  class LockWatcher {
   public:
    virtual ~LockWatcher() = default;
    virtual std::chrono::nanoseconds lock_limit() = 0;
    virtual void on_lock_forced() = 0;
  };

  PageRun(GuestMemory& memory, const ControlMemory& control, LockWatcher& watcher);

  void begin(PageId first, uint32_t count);  // 1 .. kPagesMax
  // Carries out what was put off, gives the locks back.  Throws HostError; the locks are given back all the same.
  void end();
  void abandon();  // only gives the locks back
  bool has(PageId page) const { return page.value() - first_ < count_; }
  uint32_t count() const { return count_; }  // 0: none is under way

  // All below: pages of the run.  The page word's bits, to be changed in place; takes the lock word.
  uint32_t& bits(PageId page);
  // The content of a page that is present; valid until the page changes or the run ends.
  const uint8_t* read(PageId page);
  // As GuestMemory::take for a page that a writable mapping may exist of.
  const uint8_t* take(PageId page);
  // The page's content is these bytes, which stay valid until end().
  void write(PageId page, const uint8_t* bytes);
  void discard(PageId page);
  // Takes the writable mappings of the pages in `wanted` (bit i: page first + i) away and learns what all of them hold.
  // Rights stay: who writes next faults, and finds the page here.  Each must be present.
  void freeze(uint64_t wanted);

 private:
  static constexpr uint64_t bit(uint32_t i) { return uint64_t{1} << i; }
  uint32_t index(PageId page) const { return page.value() - first_; }
  PageId page_at(uint32_t i) const { return PageId(first_ + i); }
  uint8_t* content(uint32_t i) { return content_.data() + size_t{i} * kPageSize; }
  void carry_out();
  void write_put_off();

  GuestMemory& memory_;
  const ControlMemory& control_;
  LockWatcher& watcher_;
  uint32_t first_ = 0, count_ = 0;
  uint64_t locked_ = 0, known_ = 0;      // known: content(i) is the page's
  uint64_t writes_ = 0, discards_ = 0;   // put off; disjoint
  std::array<uint32_t, kPagesMax> bits_{};
  std::array<const uint8_t*, kPagesMax> bytes_{};  // of a write that is put off
  std::vector<uint8_t> content_;
};

}  // namespace pando::dsm
