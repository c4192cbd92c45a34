// SPDX-License-Identifier: Apache-2.0
// The state of one page on this node, one word shared by the agent and its clients, with the page's lock in it.
//
// Only the holder of the lock changes the word, except that anybody may set kWaiters.  Invariants while unlocked:
//   a PTE of the page exists anywhere on the node  =>  kPresent, kMapped and a right
//   a writable PTE exists                          =>  kWritable and right Write
// Unlocking publishes (release) what was done under the lock; locking acquires it.
// Sleepers (for the lock or for a grant) set kWaiters and wait on the word itself; the next unlock wakes them all.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "dsm/core/types.h"  // Right

namespace pando::dsm {

class PageWord {
 public:
  static constexpr uint32_t kLocked = 1u << 0;
  static constexpr uint32_t kWaiters = 1u << 1;
  static constexpr uint32_t kRightShift = 2;
  static constexpr uint32_t kRightMask = 3u << kRightShift;
  static constexpr uint32_t kPresent = 1u << 4;     // the memfd holds the page's content (else: a hole, reads as zero)
  static constexpr uint32_t kMapped = 1u << 5;      // a PTE may exist
  static constexpr uint32_t kWritable = 1u << 6;    // a writable PTE may exist
  static constexpr uint32_t kElsewhere = 1u << 7;   // a PTE may exist in another mm than the client's own
  static constexpr uint32_t kAskedRead = 1u << 8;   // a client has posted a request that is not answered yet
  static constexpr uint32_t kAskedWrite = 1u << 9;
  static constexpr uint32_t kFresh = 1u << 10;      // granted, and the thread that asked has not mapped it yet
  static constexpr uint32_t kClean = 1u << 11;      // right Write, but not written yet: map write-protected
  static constexpr uint32_t kAhead = 1u << 12;      // first page of a run that was asked for ahead: say when it is read

  static Right right_of(uint32_t bits) { return static_cast<Right>((bits & kRightMask) >> kRightShift); }
  static uint32_t with_right(uint32_t bits, Right right) {
    return (bits & ~kRightMask) | (static_cast<uint32_t>(right) << kRightShift);
  }

  // Returns the word's bits, without lock and waiter bits.  Async-signal-safe.
  uint32_t lock();
  bool try_lock(uint32_t& bits);
  // For the agent, which must not hang on a broken client: after `limit` the lock is taken by force, and `forced` set.
  uint32_t lock_within(std::chrono::nanoseconds limit, bool& forced);
  // Gives the lock back with new bits and wakes the sleepers.  Async-signal-safe.
  void unlock(uint32_t bits);
  // Changes the bits while the lock is held.  Async-signal-safe.
  void update_locked(uint32_t bits);
  // Without the lock: waits until the word differs from `bits` (as left by unlock), looking for `spin` before it
  // sleeps; may return early, at the latest after `limit`.
  void wait_change(uint32_t bits, std::chrono::nanoseconds spin, std::chrono::nanoseconds limit);
  uint32_t peek() const { return bits_.load(std::memory_order_acquire); }
  // Before anybody else knows the page.
  void initialise(uint32_t bits) { bits_.store(bits, std::memory_order_relaxed); }

 private:
  std::atomic<uint32_t> bits_;
};
static_assert(sizeof(PageWord) == 4);

}  // namespace pando::dsm
