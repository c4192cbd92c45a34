// SPDX-License-Identifier: Apache-2.0
// dsm/core: the cache side of a page: what this node holds of it, the request under way, and what
// waits for its hold.
#pragma once

#include <array>

#include "dsm/core/action.h"

namespace pando::dsm {

// Stable: I nothing, S read copy, O owner with readers elsewhere, M the only copy.  Transient: D
// waits for content, A for acknowledgements.
enum class CacheState : uint8_t { I, S, O, M, IS_D, IM_AD, SM_A, OM_A, MI_A, OI_A, II_A };
inline constexpr int kCacheStates = 11;

const char* name_of(CacheState state);

// What the page-state word may say at most in this state, after the actions of the step were
// carried out.
constexpr Right right_of(CacheState s) {
  switch (s) {
    case CacheState::M:
      return Right::Write;
    case CacheState::S:
    case CacheState::O:
    case CacheState::SM_A:
    case CacheState::OM_A:
      return Right::Read;
    default:
      return Right::None;
  }
}

// For each page of the guest; 8 bytes, all zero = nothing here.
struct CacheEntry {
  Version version = kNoCopy;  // of the copy here
  uint16_t slot = 0;          // of the side record in CacheTable; not touched by cache_step
  CacheState state = CacheState::I;
  bool held = false;  // a hold window runs: what would take the page away is parked
  bool operator==(const CacheEntry&) const = default;
};
static_assert(sizeof(CacheEntry) == 8);

// Only while a request is under way or something is parked.
struct CacheTransaction {
  struct Parked {
    RequestId request{};
    Version version{};
    NodeId requester{};
    MessageType type{};  // Inv, FwdS, FwdM
    uint8_t acks = 0;
    bool closed = false;
  };
  RequestId request{};  // 0: none under way
  Version granted{};    // version that came with the Grant or Data; kNoCopy: neither has come
  uint8_t acks = 0;     // InvAcks to wait for, once granted
  bool clean = false;   // as in Data
  bool closed = false;  // as in Data and Grant
  uint8_t parked = 0;   // entries of parked_message in use, oldest first
  NodeSet acked{};      // nodes whose InvAck has come
  std::array<Parked, kNodesMax> parked_message{};

  bool idle() const { return request.value() == 0 && parked == 0; }
};

enum class CacheEventType : uint8_t {
  Read,   // a thread of this node wants to read.  request: a fresh id, used if the outcome is
          // Started
  Write,  // ... to write
  Evict,  // give the page back to its home if it is foreign and idle.  request: as above
  Hold,   // start a hold again, if the page is here: it is needed together with one just granted
  HoldExpired,  // see ActionType::StartHold
  Receive,      // `message` from node `from`
};

struct CacheEvent {
  CacheEventType type{};
  NodeId from{};        // Receive; authenticated by the transport
  RequestId request{};  // Read, Write, Evict
  Message message{};    // Receive
};

struct CachePage {
  PageId page;
  NodeId home;
};

// `transaction` is the page's side record; a default one if it has none; to be kept exactly while
// !idle(). Outcomes: Read, Write: Hit, Started, Waiting.  Evict: Ok (gone at once), Started, Kept.
// HoldExpired: Ok. Receive: Ok, StaleEpoch, ProtocolError.
StepResult cache_step(const CoreConfig& config, const CachePage& page, CacheEntry& entry,
                      CacheTransaction& transaction, const CacheEvent& event, ActionList& out);

// Start of the cluster: M on the home, nothing elsewhere; kernel image pages: S everywhere, the
// home included.
CacheEntry initial_cache_entry(NodeId self, NodeId home);
CacheEntry initial_shared_cache_entry();

}  // namespace pando::dsm
