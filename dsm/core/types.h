// SPDX-License-Identifier: Apache-2.0
// dsm/core: names and small values of the coherence protocol.
//
// The core is a pure function (state, event) -> (state, actions): no I/O, no clock, no thread, no
// log.  It includes base/types.h and the standard library, nothing else.
#pragma once

#include <bit>
#include <cstdint>

#include "base/types.h"

namespace pando::dsm {

// Chosen by the requesting node, never 0, different for any two requests of that node that are
// under way together (a counter that wraps is enough).
using RequestId = Strong<struct RequestIdTag, uint32_t>;

// Incarnation of the cluster.  A message of another epoch is dropped with Outcome::StaleEpoch.
using Epoch = Strong<struct EpochTag, uint32_t>;

// Write generation of a page: the home adds one at every grant of the right to write.  0 = "no
// copy"; compared only for equality.
using Version = Strong<struct VersionTag, uint32_t>;
inline constexpr Version kNoCopy{0};
inline constexpr Version kFirstVersion{1};

// What a node's mappings of a page may allow at most.  Also the value of the page-state word.
enum class Right : uint8_t { None, Read, Write };

// A set of nodes, one bit each.
class NodeSet {
 public:
  constexpr NodeSet() = default;
  constexpr explicit NodeSet(uint16_t bits) : bits_(bits) {}
  static constexpr NodeSet all(int nodes) {
    return NodeSet(static_cast<uint16_t>((1u << nodes) - 1));
  }

  constexpr bool has(NodeId n) const { return n.value() < kNodesMax && (bits_ >> n.value()) & 1; }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr int size() const { return std::popcount(bits_); }
  constexpr void add(NodeId n) { bits_ = static_cast<uint16_t>(bits_ | (1u << n.value())); }
  constexpr void remove(NodeId n) { bits_ = static_cast<uint16_t>(bits_ & ~(1u << n.value())); }
  constexpr NodeSet without(NodeId n) const {
    NodeSet s = *this;
    s.remove(n);
    return s;
  }
  constexpr uint16_t bits() const { return bits_; }
  constexpr bool operator==(const NodeSet&) const = default;

  // Calls f(NodeId) for each member in ascending order.
  template <class F>
  constexpr void each(F f) const {
    for (unsigned left = bits_; left != 0; left &= left - 1)
      f(NodeId(static_cast<uint8_t>(std::countr_zero(left))));
  }

 private:
  static_assert(kNodesMax <= 16, "NodeSet has one bit for each node");
  uint16_t bits_ = 0;
};

// What one node knows about the cluster and the optimisations that are on.  The same values on
// every node.
struct CoreConfig {
  NodeId self{};
  uint8_t nodes = 1;  // 1 .. kNodesMax
  Epoch epoch{};
  bool exclusive_grants =
      true;  // a read of a page that nobody shares is answered with the right to write
  bool migratory =
      true;  // pages that are read and then written by one node after the other move exclusively
  bool serve_readers_together = true;  // reads that wait one behind the other are served at once
  bool close_at_home = true;  // no Done for a request that the home's node serves alone
};

// What a step says about its event.
enum class Outcome : uint8_t {
  Ok,             // done: carry out the actions
  Hit,            // LocalRequest: the node has the right already; no action
  Started,        // LocalRequest, Evict: a request is now under way; it ends with Action::Wake
  Waiting,        // LocalRequest: a request is under way already; ask again after Action::Wake
  Kept,           // Evict: not now (held, busy, homed here, or not here at all); no action
  Overload,       // the table has no free side record; state unchanged, no action
  StaleEpoch,     // the message belongs to another incarnation; dropped
  ProtocolError,  // the message is impossible in this state: the peer is broken or hostile; state
                  // unchanged, no action
};

struct StepResult {
  Outcome outcome = Outcome::Ok;
  const char* reason = "";  // ProtocolError: a static sentence for the log

  static constexpr StepResult error(const char* why) { return {Outcome::ProtocolError, why}; }
  constexpr bool ok() const { return outcome != Outcome::ProtocolError; }
};

}  // namespace pando::dsm
