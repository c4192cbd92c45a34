// SPDX-License-Identifier: Apache-2.0
// dsm/core: what a step asks its executor (agent, simulator or model checker) to do.
//
// The executor carries the actions of one step out in order, before the next step of the same page,
// under the page's lock word.  Content is captured when the action runs, not when the message
// leaves.
//
// "The page" is this node's page of the guest-RAM file.  On the home it is also the directory's
// memory: while the directory says owner = memory, the content is in the home's own page, whether
// or not the home may map it.
#pragma once

#include <array>
#include <cstddef>

#include "dsm/core/message.h"

namespace pando::dsm {

enum class ActionType : uint8_t {
  Send,   // `message` to node `to`; content according to `payload`
  Fill,   // put the content of the message being handled into the page; no right yet.  Zero: leave
          // it never written. InPlace: nothing to do
  Raise,  // this node may now use the page with `right` (content is there).  From here on mappings
          // may be made
  Downgrade,  // from Write to Read: write-protect every mapping; the content stays
  Zap,        // revoke every mapping, discard the content (hole).  Right is None
  Keep,  // revoke every mapping, move the content to this page's eviction buffer.  Right is None
  DropKept,     // free the eviction buffer
  StoreMemory,  // home: put the content of the Put being handled into the page; no right changes.
                // Zero: leave it never written.  If this node has the right to read, the page is
                // identical already: may be skipped
  StartHold,    // measure a hold window from when the faulting thread can run, then step with
              // HoldExpired (at once for a window of 0).  Restarts a hold that is running.  A late
              // or needless HoldExpired is harmless
  Parked,  // `message` waits for the end of the hold (for the policy; HoldExpired may be delivered
           // early)
  Wake,    // wake the threads that wait for this page; each one asks again
};

// Where the content of a Send comes from.  The executor sets message.content to Bytes, or to Zero
// if the page was never written, and message.clean (cache side) if this node had the right to write
// and never used it; the Done of a closed request, if one follows, is as clean as its Data.
enum class Payload : uint8_t {
  None,  // message.content stays as the core set it (None or InPlace)
  Copy,  // read the page; it stays
  Move,  // revoke every mapping of the page, then take the content out (hole).  Right is None
  Kept,  // the eviction buffer; it stays
};

struct Action {
  ActionType type{};
  Payload payload = Payload::None;  // Send
  NodeId to{};                      // Send
  Right right = Right::None;        // Raise
  Message message{};                // Send, Parked
};

// Bounded: a step cannot ask for more than this.  Worst cases: a GetM at the home (kNodesMax
// actions) and a HoldExpired that releases kNodesMax - 1 parked readers (two actions each).
class ActionList {
 public:
  static constexpr size_t kCapacity = 2 * kNodesMax + 4;

  void clear() { size_ = 0; }
  void push(const Action& a);  // aborts when full: that is a bug of the core
  void send(NodeId to, const Message& m, Payload payload = Payload::None) {
    push({ActionType::Send, payload, to, Right::None, m});
  }
  void simple(ActionType type) { push({type}); }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const Action& operator[](size_t i) const { return items_[i]; }
  const Action* begin() const { return items_.data(); }
  const Action* end() const { return items_.data() + size_; }

 private:
  size_t size_ = 0;
  std::array<Action, kCapacity> items_;
};

const char* name_of(ActionType type);

}  // namespace pando::dsm
