// SPDX-License-Identifier: Apache-2.0
// dsm/core: which peer has been silent for too long.  Time is an input (nanoseconds of any one
// monotonic clock).
#pragma once

#include <array>
#include <optional>

#include "dsm/core/types.h"

namespace pando::dsm {

// One per node.  The owner calls heard() for anything that arrives from a peer, makes sure that it
// sends something to every peer at least every `limit / 3`, and asks silent() at least as often.
// The loss of one node ends the cluster: the first answer of silent() is final.
class PeerWatch {
 public:
  PeerWatch(NodeId self, int nodes, int64_t limit_ns, int64_t now_ns)
      : others_(NodeSet::all(nodes).without(self)), limit_ns_(limit_ns) {
    heard_ns_.fill(now_ns);
  }

  void heard(NodeId peer, int64_t now_ns) {
    if (others_.has(peer) && now_ns > heard_ns_[peer.value()]) heard_ns_[peer.value()] = now_ns;
  }

  // The peer that has been silent longest, if that is longer than the limit.
  std::optional<NodeId> silent(int64_t now_ns) const {
    std::optional<NodeId> worst;
    int64_t longest_ns = limit_ns_;
    others_.each([&](NodeId n) {
      const int64_t silence_ns = now_ns - heard_ns_[n.value()];
      if (silence_ns <= longest_ns) return;
      longest_ns = silence_ns;
      worst = n;
    });
    return worst;
  }

 private:
  NodeSet others_;
  int64_t limit_ns_;
  std::array<int64_t, kNodesMax> heard_ns_{};
};

}  // namespace pando::dsm
