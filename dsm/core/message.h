// SPDX-License-Identifier: Apache-2.0
// dsm/core: the messages between nodes.
//
// Two streams per ordered pair of nodes; order holds inside a stream only.  stream_of() says which
// one a message takes. A node also sends messages to itself (home and cache are two parties): those
// may be delivered by a queue in the agent, in the same order, and never from inside the step that
// produced them.
#pragma once

#include "dsm/core/types.h"

namespace pando::dsm {

enum class MessageType : uint8_t {
  // to the home
  GetS = 1,  // requester wants to read.  version: kNoCopy
  GetM,      // requester wants to write.  version: of the copy it has, else kNoCopy
  Put,       // the owner gives the page back, with content
  Done,      // requester has installed what it was granted.  clean: see below.  A home whose own
             // cache served a request `closed` gets it from that cache, in the requester's name
  // from the home to a cache
  FwdS,    // owner: send Data(Read) to requester
  FwdM,    // owner: send Data(Write) with `acks` to requester and forget the page
  Inv,     // forget the page, InvAck to requester
  Grant,   // requester may write the copy it has after `acks` InvAcks; version: the new one
  PutAck,  // the Put was seen
  // to the requester, from anyone
  Data,    // content and `right`; with Write, `acks` InvAcks must arrive as well
  InvAck,  // one node has forgotten the page
};
inline constexpr int kMessageTypes = 12;  // one more than the last value

enum class Content : uint8_t {
  None,     // no content belongs to this message
  Bytes,    // one page follows
  Zero,     // the page was never written: no bytes, the receiver makes zeros when it needs them
  InPlace,  // home to its own cache: the content is already in the page of this node
};

struct Message {
  MessageType type{};
  NodeId requester{};         // the node whose request this message serves
  uint8_t acks = 0;           // FwdM, Data(Write), Grant: InvAcks to wait for
  Right right = Right::None;  // Data: what it grants
  Content content = Content::None;
  bool clean = false;  // Data from an owner: it never wrote the page since it was granted; Done:
                       // copied from Data
  bool closed = false;  // Fwd, Inv, Data, Grant: all that requester waits for comes from the home's
                        // node, in order: it sends no Done, the home does not wait for one
  PageId page{};
  RequestId request{};  // of `requester`
  Epoch epoch{};
  Version version{};
  bool operator==(const Message&) const = default;
};

enum class Stream : uint8_t { Control, Bulk };
// What a home sends next must not overtake the content of a closed request.
constexpr Stream stream_of(const Message& m) {
  const bool has_content = m.type == MessageType::Data || m.type == MessageType::Put;
  return has_content && !m.closed ? Stream::Bulk : Stream::Control;
}

// True for messages that the home side of a node handles (home_step), false for its cache side
// (cache_step).
constexpr bool is_for_home(MessageType type) {
  return type == MessageType::GetS || type == MessageType::GetM || type == MessageType::Put ||
         type == MessageType::Done;
}

const char* name_of(MessageType type);  // "GetS"; "?" for a value that is none

}  // namespace pando::dsm
