// SPDX-License-Identifier: Apache-2.0
// dsm/core: the home side of a page: directory entry, the transaction under way, and the queue
// behind it.
//
// A home serves one writer, or several readers, of a page at a time and queues the rest in order of
// arrival (no refusal, no retry).  docs/design/0001-coherence-core.md says where this refines the
// tables of the design.
#pragma once

#include <array>

#include "dsm/core/action.h"

namespace pando::dsm {

// For each page homed on this node; 12 bytes.
struct DirectoryEntry {
  static constexpr uint8_t kMemory = 0xff;

  Version version = kFirstVersion;  // current write generation
  uint16_t slot = 0;  // of the side record in DirectoryTable; not touched by home_step
  NodeSet
      sharers{};  // nodes that may have a read copy (silent drops: a superset), owner not included
  uint8_t owner =
      kMemory;  // node that answers for the content; kMemory: this node's own page holds it
  uint8_t last_writer = kMemory;  // last node that was granted the right to write; kMemory: none
  bool migratory = false;         // implies that sharers is empty
  bool operator==(const DirectoryEntry&) const = default;

  bool owned_by_memory() const { return owner == kMemory; }
  bool is_owner(NodeId n) const { return owner == n.value(); }
};
static_assert(sizeof(DirectoryEntry) == 12);

// Only while something is under way for the page.
struct HomeTransaction {
  struct Waiting {
    RequestId request{};
    Version version{};
    NodeId node{};
    MessageType type{};  // GetS or GetM
  };
  NodeSet active{};      // nodes whose Done is due: one, or several readers
  NodeSet closing{};     // of these, whose Done comes from the home's own cache; their next request
                         // may be earlier
  bool readers = false;  // all of `active` read shared: another reader may join
  uint8_t queued = 0;    // entries of queue in use, oldest first
  std::array<RequestId, kNodesMax> request{};  // by node, for members of active
  std::array<Waiting, kNodesMax> queue{};

  bool idle() const { return active.empty() && queued == 0; }
};

// What only the executor can tell; any answer is correct.
struct HomeHint {
  bool never_written = false;  // the home's own page, as far as can be seen without waiting
  bool many = false;  // one of many requests that are answered together: their content would delay
                      // what follows it on the control stream
};

// Handles a GetS, GetM, Put or Done from node `from` (authenticated by the transport).
// `transaction` is the page's side record; a default one if it has none; to be kept exactly while
// !idle().  A Put is never queued, so its content need not be kept: either this very step says
// StoreMemory or the content is stale.
StepResult home_step(const CoreConfig& config, DirectoryEntry& entry, HomeTransaction& transaction,
                     NodeId from, const Message& message, HomeHint hint, ActionList& out);

// Start of the cluster: the home owns its pages; pages of the kernel image are read copies
// everywhere.
DirectoryEntry initial_home_entry(NodeId home);
DirectoryEntry initial_shared_entry(int nodes);

}  // namespace pando::dsm
