// SPDX-License-Identifier: Apache-2.0
#include "dsm/core/hold_policy.h"

#include <algorithm>

namespace pando::dsm {
namespace {

// A number below 256 that looks unrelated for neighbouring inputs.
uint32_t scatter(uint32_t node, uint32_t repeats) {
  uint32_t h = (node + 1) * 0x9e3779b1u ^ (repeats + 1) * 0x85ebca6bu;
  h ^= h >> 15;
  h *= 0x2c1b3c6du;
  return (h >> 16) & 255;
}

}  // namespace

uint32_t FaultStreak::on_fault(uint64_t rip, PageId page, Right wanted) {
  if (rip != rip_) {
    rip_ = rip;
    repeats_ = 0;
    known_ = 0;
  }
  const auto end = needs_.begin() + static_cast<ptrdiff_t>(known_);
  const auto seen =
      std::find_if(needs_.begin(), end, [&](const Need& n) { return n.page == page; });
  if (seen != end) {
    if (page != last_) ++repeats_;
    seen->right = std::max(seen->right, wanted);
  } else {
    if (known_ == kPages) known_ = 0;  // a copy walking over pages
    needs_[known_++] = {page, wanted};
  }
  last_ = page;
  return repeats_;
}

int64_t HoldPolicy::window_ns(const HoldInputs& in) const {
  const int64_t limit =
      std::max(options_.window_max_ns, 16 * std::max<int64_t>(in.round_trip_ns, 0));
  // A fetch that waits for the holds of others takes long: without the bound windows would feed on
  // each other.
  const int64_t fetch = std::clamp<int64_t>(in.fetch_ns, 0, limit);
  const int64_t base = std::clamp(fetch * options_.fetch_percent / 100, options_.window_min_ns,
                                  std::max(options_.window_min_ns, limit / 8));
  if (in.repeats == 0) return base;
  // Doubling makes room for slower fetches than the estimate.  The scattered part, also at the
  // limit, breaks the symmetry of nodes that take the same pages from each other in step.
  const int64_t grown = std::min(base << std::min(in.repeats, 6u), limit / 2);
  return grown + grown * scatter(self_.value(), in.repeats) / 256;
}

}  // namespace pando::dsm
