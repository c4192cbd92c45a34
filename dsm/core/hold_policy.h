// SPDX-License-Identifier: Apache-2.0
// dsm/core: how long a page that was just granted is kept before it may be taken away again.
//
// Why hold at all, and what was measured in the simulator: docs/design/0001-coherence-core.md,
// "Hold windows". Everything is in nanoseconds and passed in; nothing here reads a clock.
#pragma once

#include <array>
#include <span>

#include "dsm/core/types.h"

namespace pando::dsm {

// Notices an instruction that needs several pages at once and does not get them.  One per faulting
// thread.
//
// A thread that faults again at the same instruction on a page that this very instruction had
// fetched before, with another page in between, has made no progress: the first page was taken
// while it fetched the second.  A copy that walks over pages never comes back and does not count.
class FaultStreak {
 public:
  // Call for each fault that needed another node; returns repeats().
  uint32_t on_fault(uint64_t rip, PageId page, Right wanted);
  // Call when the thread is woken and everything in needs() is here: the instruction can be carried
  // out.
  void on_all_here() { repeats_ = 0; }

  // How often a page had to be fetched again for the instruction.  0: it gets on.
  uint32_t repeats() const { return repeats_; }
  // What the instruction has asked for so far.
  struct Need {
    PageId page;
    Right right;
  };
  std::span<const Need> needs() const { return {needs_.data(), known_}; }

 private:
  static constexpr size_t kPages = 4;  // x86: two pages for each of two operands
  uint64_t rip_ = 0;
  uint32_t repeats_ = 0;
  size_t known_ = 0;
  std::array<Need, kPages> needs_{};
  PageId last_{};
};

// How long a fetch takes that nobody's hold delays: follows shorter measurements fast and longer
// ones slowly.  A plain mean would count the hold windows of others, make the own window longer,
// and so on without end.
class FetchTime {
 public:
  explicit FetchTime(int64_t initial_ns) : estimate_ns_(initial_ns) {}
  // From the request to its installation.
  void add(int64_t measured_ns) {
    const int64_t off = measured_ns - estimate_ns_;
    estimate_ns_ += off < 0 ? off / 4 : off / 256;
  }
  int64_t estimate_ns() const { return estimate_ns_; }

 private:
  int64_t estimate_ns_;
};

struct HoldPolicyOptions {
  int64_t window_min_ns = 100'000;    // also the default while nothing is measured
  int64_t window_max_ns = 5'000'000;  // bounds what a remote request can be made to wait; 16 round
                                      // trips if that is more
  uint32_t fetch_percent = 150;       // window >= this share of the fetch time
};

struct HoldInputs {
  int64_t fetch_ns = 0;  // FetchTime::estimate_ns() of this node
  int64_t round_trip_ns =
      0;  // of a small message to the slowest peer and back (heartbeat); no hold delays it
  uint32_t repeats = 0;  // the largest FaultStreak::repeats() of the threads that wait for the page
};

// One per node.
//
// Contract for the executor: the window counts from when the woken thread runs again, and the other
// pages in needs() of that thread are held anew with it (CacheEventType::Hold).  Without the second
// part an instruction that needs two contested pages can fail for ever.
class HoldPolicy {
 public:
  HoldPolicy(NodeId self, HoldPolicyOptions options) : self_(self), options_(options) {}
  int64_t window_ns(const HoldInputs& in) const;

 private:
  NodeId self_;
  HoldPolicyOptions options_;
};

}  // namespace pando::dsm
