// SPDX-License-Identifier: Apache-2.0
// How long this node keeps a page that it was just granted: HoldPolicy on what agent and client measure.  Both sides
// compute it; async-signal-safe.
#pragma once

#include "dsm/core/hold_policy.h"
#include "dsm/shm/layout.h"

namespace pando::dsm {

inline int64_t hold_window_ns(const ControlHeader& header, uint32_t repeats) {
  if (!header.hold_adaptive) return header.hold_min_ns;
  HoldPolicyOptions options;
  options.window_min_ns = header.hold_min_ns;
  const HoldPolicy policy(NodeId(static_cast<uint8_t>(header.self)), options);
  return policy.window_ns({header.fetch_ns.load(std::memory_order_relaxed),
                           header.round_trip_ns.load(std::memory_order_relaxed), repeats});
}

}  // namespace pando::dsm
