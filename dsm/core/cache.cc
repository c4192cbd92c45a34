// SPDX-License-Identifier: Apache-2.0
#include "dsm/core/cache.h"

namespace pando::dsm {
namespace {

using Parked = CacheTransaction::Parked;
using enum CacheState;

// One call of cache_step: the parts that every helper needs.
struct Cache {
  const CoreConfig& config;
  const CachePage& page;
  CacheEntry& entry;
  CacheTransaction& txn;
  ActionList& out;

  // A message about `requester`'s request.
  Message message(MessageType type, NodeId requester, RequestId request) const {
    Message m;
    m.type = type;
    m.requester = requester;
    m.page = page.page;
    m.request = request;
    m.epoch = config.epoch;
    m.version = entry.version;
    return m;
  }
  Message own_message(MessageType type) const { return message(type, config.self, txn.request); }

  void forget(CacheState state) {
    entry.state = state;
    entry.version = kNoCopy;
  }
};

constexpr unsigned bit(CacheState s) {
  return 1u << static_cast<unsigned>(s);
}

// States in which a message to the cache side can be met at all: the tables of the design, read by
// column.
constexpr unsigned states_for(MessageType type) {
  switch (type) {
    case MessageType::Inv:
      return bit(I) | bit(S) | bit(O) | bit(IS_D) | bit(IM_AD) | bit(SM_A) | bit(OM_A) | bit(OI_A) |
             bit(II_A);
    case MessageType::FwdS:
    case MessageType::FwdM:
      return bit(O) | bit(M) | bit(OM_A) | bit(MI_A) | bit(OI_A);
    case MessageType::Data:
      return bit(IS_D) | bit(IM_AD);
    case MessageType::Grant:
      return bit(SM_A) | bit(OM_A);
    case MessageType::InvAck:
      return bit(IM_AD) | bit(SM_A) | bit(OM_A);
    case MessageType::PutAck:
      return bit(MI_A) | bit(OI_A) | bit(II_A);
    default:
      return 0;
  }
}

// --- local events
// -----------------------------------------------------------------------------------------------

StepResult begin(Cache& c, CacheState state, MessageType type, RequestId request) {
  c.txn.request = request;
  c.entry.state = state;
  c.out.send(c.page.home, c.own_message(type));
  return {Outcome::Started, ""};
}

StepResult on_access(Cache& c, const CacheEvent& event) {
  const bool write = event.type == CacheEventType::Write;
  if (right_of(c.entry.state) >= (write ? Right::Write : Right::Read)) return {Outcome::Hit, ""};
  if (c.txn.request.value() != 0) return {Outcome::Waiting, ""};
  switch (c.entry.state) {
    case I:
      return write ? begin(c, IM_AD, MessageType::GetM, event.request)
                   : begin(c, IS_D, MessageType::GetS, event.request);
    case S:
      return begin(c, SM_A, MessageType::GetM, event.request);
    case O:
      return begin(c, OM_A, MessageType::GetM, event.request);
    default:
      return {Outcome::Waiting, ""};
  }
}

StepResult on_evict(Cache& c, const CacheEvent& event) {
  const bool stable = c.entry.state == S || c.entry.state == O || c.entry.state == M;
  // The home's own page is the directory's memory: it stays.
  if (!stable || c.entry.held || c.page.home == c.config.self) return {Outcome::Kept, ""};
  if (c.entry.state == S) {
    c.out.simple(ActionType::Zap);
    c.forget(I);
    return {};
  }
  c.txn.request = event.request;
  c.entry.state = c.entry.state == M ? MI_A : OI_A;
  c.out.simple(ActionType::Keep);
  c.out.send(c.page.home, c.own_message(MessageType::Put), Payload::Kept);
  return {Outcome::Started, ""};
}

// --- what takes the page away
// -------------------------------------------------------------------------------------

// The home is on this node and has nothing else to wait for.
void close_at_home(Cache& c, const Parked& p) {
  if (p.closed) c.out.send(c.config.self, c.message(MessageType::Done, p.requester, p.request));
}

void do_inv(Cache& c, const Parked& p) {
  switch (c.entry.state) {
    case S:
    case O:
      c.out.simple(ActionType::Zap);
      c.forget(I);
      break;
    case SM_A:
    case OM_A:
      c.out.simple(ActionType::Zap);
      c.forget(IM_AD);
      break;
    case OI_A:
      c.out.simple(ActionType::DropKept);
      c.forget(II_A);
      break;
    default:
      break;  // dropped silently, or belongs to an older transaction than our request: only
              // acknowledge
  }
  c.out.send(p.requester, c.message(MessageType::InvAck, p.requester, p.request));
  close_at_home(c, p);
}

void do_fwd_s(Cache& c, const Parked& p) {
  Message m = c.message(MessageType::Data, p.requester, p.request);
  m.right = Right::Read;
  m.closed = p.closed;
  const bool evicting = c.entry.state == MI_A || c.entry.state == OI_A;
  if (c.entry.state == M) {
    c.out.simple(ActionType::Downgrade);
    c.entry.state = O;
  } else if (c.entry.state == MI_A) {
    c.entry.state = OI_A;
  }
  c.out.send(p.requester, m, evicting ? Payload::Kept : Payload::Copy);
  close_at_home(c, p);
}

void do_fwd_m(Cache& c, const Parked& p) {
  Message m = c.message(MessageType::Data, p.requester, p.request);
  m.right = Right::Write;
  m.acks = p.acks;
  m.version = p.version;
  m.closed = p.closed;
  if (c.entry.state == MI_A || c.entry.state == OI_A) {
    c.out.send(p.requester, m, Payload::Kept);
    c.out.simple(ActionType::DropKept);
    c.forget(II_A);
  } else {
    c.out.send(p.requester, m, Payload::Move);
    c.forget(c.entry.state == OM_A ? IM_AD : I);
  }
  close_at_home(c, p);
}

void do_parkable(Cache& c, const Parked& p) {
  if (p.type == MessageType::Inv) {
    do_inv(c, p);
  } else if (p.type == MessageType::FwdS) {
    do_fwd_s(c, p);
  } else {
    do_fwd_m(c, p);
  }
}

StepResult on_hold(Cache& c) {
  if (right_of(c.entry.state) == Right::None) return {Outcome::Kept, ""};
  c.entry.held = true;
  c.out.simple(ActionType::StartHold);
  return {};
}

StepResult on_hold_expired(Cache& c) {
  c.entry.held = false;
  const int parked = c.txn.parked;
  c.txn.parked = 0;
  for (int i = 0; i < parked; ++i) {
    do_parkable(c, c.txn.parked_message[i]);
    c.txn.parked_message[i] = Parked{};
  }
  return {};
}

// Only readers can wait together: anything else is the one transaction that the home has under way.
bool may_wait_with_parked(const CacheTransaction& txn, const Message& m) {
  for (int i = 0; i < txn.parked; ++i) {
    const Parked& p = txn.parked_message[i];
    if (p.type != MessageType::FwdS || m.type != MessageType::FwdS || p.requester == m.requester)
      return false;
  }
  return true;
}

StepResult on_parkable(Cache& c, const Message& m) {
  if (m.requester == c.config.self || m.requester.value() >= c.config.nodes ||
      m.request.value() == 0)
    return StepResult::error("forward or invalidation for an impossible requester");
  if (m.type == MessageType::Inv && c.txn.granted != kNoCopy)
    return StepResult::error("invalidation after the grant of the same page");
  if (m.type == MessageType::FwdM && (m.version == kNoCopy || m.acks >= c.config.nodes))
    return StepResult::error("forward with an impossible count or version");
  if (m.closed && c.page.home != c.config.self)
    return StepResult::error("closed request at a node that is not the home");
  if (!may_wait_with_parked(c.txn, m))
    return StepResult::error("two transactions of one page at once");

  const Parked p{m.request, m.version, m.requester, m.type, m.acks, m.closed};
  const bool takes_nothing = m.type == MessageType::FwdS && c.entry.state != M;
  if (!c.entry.held || takes_nothing) {
    do_parkable(c, p);
    return {};
  }
  c.txn.parked_message[c.txn.parked++] = p;
  c.out.push({ActionType::Parked, Payload::None, NodeId(), Right::None, m});
  return {};
}

// --- answers to our own request
// -------------------------------------------------------------------------------------

void install(Cache& c, CacheState state) {
  c.entry.state = state;
  c.entry.version = c.txn.granted;
  c.entry.held = true;
  c.out.push({ActionType::Raise, Payload::None, NodeId(), right_of(state), Message{}});
  c.out.simple(ActionType::StartHold);
  c.out.simple(ActionType::Wake);
  if (!c.txn.closed) {
    Message done = c.own_message(MessageType::Done);
    done.clean = c.txn.clean;
    c.out.send(c.page.home, done);
  }
  c.txn.request = RequestId();
  c.txn.granted = kNoCopy;
  c.txn.acks = 0;
  c.txn.acked = NodeSet();
  c.txn.clean = false;
  c.txn.closed = false;
}

void complete_write(Cache& c) {
  if (c.txn.granted != kNoCopy && c.txn.acked.size() == c.txn.acks) install(c, M);
}

bool count_is_possible(const Cache& c, int acks) {
  return acks < c.config.nodes && c.txn.acked.size() <= acks;
}

StepResult on_data(Cache& c, NodeId from, const Message& m) {
  const bool in_place = m.content == Content::InPlace;
  const bool from_own_home = from == c.config.self && c.page.home == c.config.self;
  if (in_place != from_own_home || m.content == Content::None)
    return StepResult::error("Data without content, or with content that is not its sender's");
  if (m.version == kNoCopy || c.txn.granted != kNoCopy)
    return StepResult::error("second grant, or grant without a version");
  if (m.closed && from != c.page.home)
    return StepResult::error("request closed by a node that is not the home");
  if (c.entry.state == IS_D) {
    if (m.right == Right::None || m.acks != 0)
      return StepResult::error("Data for a read that grants nothing or counts acknowledgements");
  } else if (m.right != Right::Write || !count_is_possible(c, m.acks)) {
    return StepResult::error("Data for a write without the right or with an impossible count");
  }
  c.txn.granted = m.version;
  c.txn.acks = m.acks;
  c.txn.clean = m.clean && m.right == Right::Write;
  c.txn.closed = m.closed;
  c.out.simple(ActionType::Fill);
  if (c.entry.state == IS_D) {
    install(c, m.right == Right::Write ? M : S);
  } else {
    complete_write(c);
  }
  return {};
}

StepResult on_grant(Cache& c, const Message& m) {
  if (m.version == kNoCopy || c.txn.granted != kNoCopy || !count_is_possible(c, m.acks))
    return StepResult::error("second Grant, or Grant with an impossible version or count");
  if (c.txn.parked != 0) return StepResult::error("Grant while another transaction is parked");
  c.txn.granted = m.version;
  c.txn.acks = m.acks;
  c.txn.closed = m.closed;
  complete_write(c);
  return {};
}

StepResult on_inv_ack(Cache& c, NodeId from) {
  const bool too_many = c.txn.granted != kNoCopy && c.txn.acked.size() >= c.txn.acks;
  if (from == c.config.self || c.txn.acked.has(from) || too_many)
    return StepResult::error("acknowledgement that nobody waits for");
  c.txn.acked.add(from);
  complete_write(c);
  return {};
}

StepResult on_put_ack(Cache& c) {
  if (c.entry.state != II_A) c.out.simple(ActionType::DropKept);
  c.forget(I);
  c.txn.request = RequestId();
  c.out.simple(ActionType::Wake);
  return {};
}

StepResult on_message(Cache& c, NodeId from, const Message& m) {
  if (m.epoch != c.config.epoch) return {Outcome::StaleEpoch, ""};
  if (from.value() >= c.config.nodes) return StepResult::error("message from an unknown node");
  if (m.page != c.page.page) return StepResult::error("message for another page");
  if ((states_for(m.type) & bit(c.entry.state)) == 0)
    return StepResult::error("message is impossible in the state of the page");
  const bool from_peer = m.type == MessageType::Data || m.type == MessageType::InvAck;
  if (!from_peer && from != c.page.home)
    return StepResult::error("order from a node that is not the home");
  const bool parkable =
      m.type == MessageType::Inv || m.type == MessageType::FwdS || m.type == MessageType::FwdM;
  if (parkable) return on_parkable(c, m);
  if (m.requester != c.config.self || m.request != c.txn.request)
    return StepResult::error("answer to no request under way");
  switch (m.type) {
    case MessageType::Data:
      return on_data(c, from, m);
    case MessageType::Grant:
      return on_grant(c, m);
    case MessageType::InvAck:
      return on_inv_ack(c, from);
    default:
      return on_put_ack(c);
  }
}

}  // namespace

StepResult cache_step(const CoreConfig& config, const CachePage& page, CacheEntry& entry,
                      CacheTransaction& transaction, const CacheEvent& event, ActionList& out) {
  Cache c{config, page, entry, transaction, out};
  switch (event.type) {
    case CacheEventType::Read:
    case CacheEventType::Write:
      return on_access(c, event);
    case CacheEventType::Evict:
      return on_evict(c, event);
    case CacheEventType::Hold:
      return on_hold(c);
    case CacheEventType::HoldExpired:
      return on_hold_expired(c);
    case CacheEventType::Receive:
      return on_message(c, event.from, event.message);
  }
  return StepResult::error("no such event");
}

CacheEntry initial_cache_entry(NodeId self, NodeId home) {
  CacheEntry e;
  if (self == home) {
    e.state = CacheState::M;
    e.version = kFirstVersion;
  }
  return e;
}

CacheEntry initial_shared_cache_entry() {
  CacheEntry e;
  e.state = CacheState::S;
  e.version = kFirstVersion;
  return e;
}

}  // namespace pando::dsm
