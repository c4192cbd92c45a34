// SPDX-License-Identifier: Apache-2.0
#include "dsm/core/home.h"

namespace pando::dsm {
namespace {

// One call of home_step: the parts that every helper needs.
struct Home {
  const CoreConfig& config;
  DirectoryEntry& entry;
  HomeTransaction& txn;
  PageId page;
  HomeHint hint;
  ActionList& out;
  bool closes = false;  // the request being served: Message::closed

  Message message(MessageType type, const HomeTransaction::Waiting& w) const {
    Message m;
    m.type = type;
    m.requester = w.node;
    m.page = page;
    m.request = w.request;
    m.epoch = config.epoch;
    m.version = entry.version;
    m.closed = closes;
    return m;
  }
};

using Waiting = HomeTransaction::Waiting;

Version next(Version v) {
  const uint32_t n = v.value() + 1;
  return n == kNoCopy.value() ? kFirstVersion : Version(n);
}

bool has_copy_now(const DirectoryEntry& entry, const Waiting& w) {
  return w.version != kNoCopy && w.version == entry.version &&
         (entry.sharers.has(w.node) || entry.is_owner(w.node));
}

// A read that moves the page instead of sharing it.
bool serves_exclusively(const Home& h, const Waiting& w) {
  const DirectoryEntry& e = h.entry;
  if (w.type != MessageType::GetS || !e.sharers.empty()) return false;
  if (e.migratory) return true;
  if (e.owned_by_memory()) return h.config.exclusive_grants;
  return h.config.exclusive_grants && e.is_owner(h.config.self) && h.hint.never_written;
}

void note_writer(Home& h, NodeId writer) {
  h.entry.version = next(h.entry.version);
  h.entry.owner = writer.value();
  h.entry.last_writer = writer.value();
  h.entry.sharers = NodeSet();
}

// The classic test: the writer read first, the only other copy is that of the previous writer.
bool looks_migratory(const Home& h, const Waiting& w) {
  const DirectoryEntry& e = h.entry;
  return h.config.migratory && e.sharers == NodeSet(static_cast<uint16_t>(1u << w.node.value())) &&
         !e.owned_by_memory() && e.owner == e.last_writer;
}

// If this node alone serves it.
bool may_close(const Home& h, const Waiting& w) {
  return h.config.close_at_home && w.node != h.config.self && !h.hint.many;
}

// Nothing is left to wait for.
void finish(HomeTransaction& txn, NodeId node) {
  txn.active.remove(node);
  txn.closing.remove(node);
  txn.request[node.value()] = RequestId();
  if (txn.active.empty()) txn.readers = false;
}

void close(Home& h, const Waiting& w, bool all_sent) {
  if (all_sent) {
    finish(h.txn, w.node);
  } else {
    h.txn.closing.add(w.node);
  }
}

void serve_shared_read(Home& h, const Waiting& w) {
  const bool from_memory = h.entry.owned_by_memory();
  h.closes = may_close(h, w) && (from_memory || h.entry.is_owner(h.config.self));
  if (from_memory) {
    Message m = h.message(MessageType::Data, w);
    m.right = Right::Read;
    const bool own = w.node == h.config.self;
    if (own) m.content = Content::InPlace;
    h.out.send(w.node, m, own ? Payload::None : Payload::Copy);
  } else {
    h.out.send(NodeId(h.entry.owner), h.message(MessageType::FwdS, w));
  }
  h.entry.sharers.add(w.node);
  if (h.closes) close(h, w, from_memory);
}

// Content comes from this node's page.  The send captures it before the Inv to the own cache zaps
// it.
void grant_from_memory(Home& h, const Waiting& w, int acks, bool own_cache_shares) {
  Message m = h.message(MessageType::Data, w);
  m.right = Right::Write;
  m.acks = static_cast<uint8_t>(acks);
  Payload payload = own_cache_shares ? Payload::Copy : Payload::Move;
  if (w.node == h.config.self) {
    m.content = Content::InPlace;
    payload = Payload::None;
  }
  h.out.send(w.node, m, payload);
}

// GetM, or a GetS that is served exclusively (which then finds no sharers).
void serve_exclusive(Home& h, const Waiting& w) {
  const bool upgrade = w.type == MessageType::GetM && has_copy_now(h.entry, w);
  if (upgrade && looks_migratory(h, w)) h.entry.migratory = true;
  const NodeSet readers = h.entry.sharers;
  NodeSet revoke = readers.without(w.node);
  const uint8_t owner = h.entry.owner;
  if (upgrade && owner != DirectoryEntry::kMemory) revoke.add(NodeId(owner));
  if (upgrade) revoke.remove(w.node);
  const int acks = revoke.size();
  const bool answers = upgrade || owner == DirectoryEntry::kMemory;  // the home, not an owner
  h.closes = may_close(h, w) && revoke.without(h.config.self).empty() &&
             (answers || owner == h.config.self.value());
  note_writer(h, w.node);

  if (upgrade) {
    Message m = h.message(MessageType::Grant, w);
    m.acks = static_cast<uint8_t>(acks);
    h.out.send(w.node, m);
  } else if (owner == DirectoryEntry::kMemory) {
    grant_from_memory(h, w, acks, readers.has(h.config.self));
  } else {
    Message m = h.message(MessageType::FwdM, w);
    m.acks = static_cast<uint8_t>(acks);
    h.out.send(NodeId(owner), m);
  }
  revoke.each([&](NodeId n) { h.out.send(n, h.message(MessageType::Inv, w)); });
  if (h.closes) close(h, w, answers && revoke.empty());
}

bool may_start(const Home& h, const Waiting& w) {
  if (h.txn.active.empty()) return true;
  if (h.txn.active.has(w.node)) return false;
  return h.config.serve_readers_together && h.txn.readers && w.type == MessageType::GetS &&
         !serves_exclusively(h, w);
}

void start(Home& h, const Waiting& w) {
  const bool shared = w.type == MessageType::GetS && !serves_exclusively(h, w);
  h.txn.readers = shared;
  h.txn.active.add(w.node);
  h.txn.request[w.node.value()] = w.request;
  if (shared) {
    serve_shared_read(h, w);
  } else {
    serve_exclusive(h, w);
  }
}

// The owner may only ask to upgrade the copy it has.  Its version cannot change while its request
// waits in the queue without another node becoming the owner, so this is checked at arrival alone.
bool contradicts(const DirectoryEntry& e, const Waiting& w) {
  if (!e.is_owner(w.node)) return false;
  return w.type == MessageType::GetS || !has_copy_now(e, w);
}

void drain(Home& h) {
  while (h.txn.queued > 0 && may_start(h, h.txn.queue[0])) {
    const Waiting w = h.txn.queue[0];
    for (int i = 1; i < h.txn.queued; ++i) h.txn.queue[i - 1] = h.txn.queue[i];
    h.txn.queue[--h.txn.queued] = Waiting{};
    start(h, w);
  }
}

bool is_queued(const HomeTransaction& txn, NodeId n) {
  for (int i = 0; i < txn.queued; ++i) {
    if (txn.queue[i].node == n) return true;
  }
  return false;
}

StepResult on_get(Home& h, const Message& m) {
  const bool is_served = h.txn.active.has(m.requester) && !h.txn.closing.has(m.requester);
  if (is_served || is_queued(h.txn, m.requester))
    return StepResult::error("two requests of one node for a page");
  const Waiting w{m.request, m.version, m.requester, m.type};
  if (contradicts(h.entry, w)) return StepResult::error("request of the owner for content it has");
  if (h.txn.queued == 0 && may_start(h, w)) {
    start(h, w);
  } else {
    h.txn.queue[h.txn.queued++] = w;  // at most one per node: it fits
  }
  return {};
}

// Even while the page is busy: see docs/design/0001-coherence-core.md, "A Put is never queued".
StepResult on_put(Home& h, const Message& m) {
  if (m.content != Content::Bytes && m.content != Content::Zero)
    return StepResult::error("Put without content");
  const Waiting w{m.request, m.version, m.requester, m.type};
  if (h.entry.is_owner(m.requester)) {
    h.out.simple(ActionType::StoreMemory);
    h.entry.owner = DirectoryEntry::kMemory;
  }
  h.out.send(m.requester, h.message(MessageType::PutAck, w));
  return {};
}

StepResult on_done(Home& h, const Message& m) {
  const NodeId n = m.requester;
  if (!h.txn.active.has(n) || h.txn.request[n.value()] != m.request)
    return StepResult::error("Done of no transaction under way");
  finish(h.txn, n);
  if (m.clean) h.entry.migratory = false;
  drain(h);
  return {};
}

}  // namespace

StepResult home_step(const CoreConfig& config, DirectoryEntry& entry, HomeTransaction& transaction,
                     NodeId from, const Message& message, HomeHint hint, ActionList& out) {
  if (message.epoch != config.epoch) return {Outcome::StaleEpoch, ""};
  const bool own_name =
      message.requester == from || (message.type == MessageType::Done && from == config.self);
  if (from.value() >= config.nodes || message.requester.value() >= config.nodes || !own_name)
    return StepResult::error("request in the name of another node");
  if (message.request.value() == 0) return StepResult::error("request id 0");

  Home h{config, entry, transaction, message.page, hint, out, false};
  switch (message.type) {
    case MessageType::GetS:
    case MessageType::GetM:
      return on_get(h, message);
    case MessageType::Put:
      if (from == config.self) return StepResult::error("Put by the home itself");
      return on_put(h, message);
    case MessageType::Done:
      return on_done(h, message);
    default:
      return StepResult::error("not a message for a home");
  }
}

DirectoryEntry initial_home_entry(NodeId home) {
  DirectoryEntry e;
  e.owner = home.value();
  return e;
}

DirectoryEntry initial_shared_entry(int nodes) {
  DirectoryEntry e;
  e.sharers = NodeSet::all(nodes);
  return e;
}

}  // namespace pando::dsm
