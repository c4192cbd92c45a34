// SPDX-License-Identifier: Apache-2.0
#include "tests/model/world.h"

#include <algorithm>
#include <bit>

#include "tests/model/archive.h"

namespace pando::dsm::model {
namespace {

constexpr PageId kPage{0};
constexpr NodeId kHome{0};
constexpr RequestId kFreshRequest{kNamesMax - 1};  // renamed by encode()

bool carries_content(const Message& m) {
  return m.content == Content::Bytes || m.content == Content::Zero;
}

bool version_matters(MessageType t) {
  return t == MessageType::GetM || t == MessageType::FwdM || t == MessageType::Data ||
         t == MessageType::Grant;
}

const char* name_of(Copy c) {
  constexpr const char* kNames[] = {"hole", "zero", "current", "stale"};
  return kNames[static_cast<int>(c)];
}

}  // namespace

World::World(const Options& options, const CoreSteps& core)
    : options_(options), core_(core), n_(options.nodes) {
  for (int i = 0; i < n_; ++i) {
    Node& n = nodes_[i];
    if (options.shared_start) {
      n.entry = initial_shared_cache_entry();
      n.page = Copy::Current;
    } else {
      n.entry = initial_cache_entry(NodeId(static_cast<uint8_t>(i)), kHome);
      n.page = i == 0 ? Copy::Zero : Copy::Hole;
    }
    n.mapped = right_of(n.entry.state);
  }
  entry_ = options.shared_start ? initial_shared_entry(n_) : initial_home_entry(kHome);
}

Channel& World::stream(int from, int to, Stream s) {
  return streams_[(from * kNodesModel + to) * 2 + static_cast<int>(s)];
}
const Channel& World::stream(int from, int to, Stream s) const {
  return streams_[(from * kNodesModel + to) * 2 + static_cast<int>(s)];
}

CoreConfig World::config(int node) const {
  CoreConfig c = options_.core;
  c.self = NodeId(static_cast<uint8_t>(node));
  c.nodes = static_cast<uint8_t>(n_);
  return c;
}

bool World::choose() {
  return (choices_ >> choices_used_++) & 1;
}

void World::fail(const std::string& what) {
  if (error_.empty()) error_ = what;
}

void World::enabled(std::vector<Transition>& out) const {
  using Type = Transition::Type;
  out.clear();
  for (int i = 0; i < n_; ++i) {
    const auto node = static_cast<uint8_t>(i);
    const Node& n = nodes_[i];
    const Right right = right_of(n.entry.state);
    const bool free = n.txn.request.value() == 0;
    if (free && right == Right::None) out.push_back({Type::Read, node});
    if (free && right != Right::Write) out.push_back({Type::Write, node});
    if (n.mapped == Right::Write) out.push_back({Type::Store, node});
    if (free && options_.evict && right != Right::None) out.push_back({Type::Evict, node});
    if (options_.hold && right != Right::None && !n.entry.held) out.push_back({Type::Hold, node});
    if (n.entry.held) out.push_back({Type::HoldExpired, node});
  }
  for (int from = 0; from < n_; ++from) {
    for (int to = 0; to < n_; ++to) {
      for (Stream s : {Stream::Control, Stream::Bulk}) {
        if (stream(from, to, s).size > 0)
          out.push_back({Type::Deliver, static_cast<uint8_t>(to), static_cast<uint8_t>(from), s});
      }
    }
  }
}

World::Effect World::apply(const Transition& t) {
  choices_ = t.choices;
  choices_used_ = 0;
  Effect effect = Effect::Changed;
  switch (t.type) {
    case Transition::Type::Read:
      step_cache(t.node, {CacheEventType::Read, NodeId(), kFreshRequest, {}}, Copy::Hole, effect);
      break;
    case Transition::Type::Write:
      step_cache(t.node, {CacheEventType::Write, NodeId(), kFreshRequest, {}}, Copy::Hole, effect);
      break;
    case Transition::Type::Evict:
      step_cache(t.node, {CacheEventType::Evict, NodeId(), kFreshRequest, {}}, Copy::Hole, effect);
      break;
    case Transition::Type::Hold:
      step_cache(t.node, {CacheEventType::Hold, {}, {}, {}}, Copy::Hole, effect);
      break;
    case Transition::Type::HoldExpired:
      step_cache(t.node, {CacheEventType::HoldExpired, {}, {}, {}}, Copy::Hole, effect);
      break;
    case Transition::Type::Store:
      store(t.node);
      break;
    case Transition::Type::Deliver: {
      Channel& c = stream(t.from, t.node, t.stream);
      const Packet p = c.packet[0];
      for (int i = 1; i < c.size; ++i) c.packet[i - 1] = c.packet[i];
      --c.size;
      const NodeId from(t.from);
      if (!is_for_home(p.message.type)) {
        step_cache(t.node, {CacheEventType::Receive, from, {}, p.message}, p.content, effect);
        break;
      }
      const bool hint_matters = options_.hints && entry_.is_owner(kHome) &&
                                entry_.sharers.empty() && p.message.type != MessageType::Put;
      HomeHint hint;
      hint.never_written = hint_matters && choose();
      hint.many = options_.hints && options_.core.close_at_home &&
                  p.message.type != MessageType::Put && choose();
      ActionList actions;
      const StepResult r = core_.home(config(0), entry_, txn_, from, p.message, hint, actions);
      if (r.outcome != Outcome::Ok) return fail(std::string("home: ") + r.reason), effect;
      run_actions(0, actions, p.content, p.message);
      break;
    }
  }
  return effect;
}

void World::step_cache(int node, const CacheEvent& event, Copy incoming, Effect& effect) {
  ActionList actions;
  Node& n = nodes_[node];
  hold_started_ = false;
  if (event.type == CacheEventType::Receive)
    ++coverage_.met[static_cast<int>(n.entry.state)][static_cast<int>(event.message.type)];
  const StepResult r = core_.cache(config(node), {kPage, kHome}, n.entry, n.txn, event, actions);
  if (r.outcome == Outcome::Kept) effect = Effect::Nothing;
  if (!r.ok() || r.outcome == Outcome::StaleEpoch)
    return fail("node " + std::to_string(node) + ": " + r.reason);
  run_actions(node, actions, incoming, event.message);
  if (!hold_started_ || options_.hold) return;
  ActionList after;
  core_.cache(config(node), {kPage, kHome}, n.entry, n.txn,
              {CacheEventType::HoldExpired, {}, {}, {}}, after);
  run_actions(node, after, Copy::Hole, Message{});
}

void World::run_actions(int node, const ActionList& actions, Copy incoming,
                        const Message& handled) {
  sent_clean_ = false;
  for (const Action& a : actions) run(node, a, incoming, handled);
}

void World::run(int node, const Action& a, Copy incoming, const Message& handled) {
  Node& n = nodes_[node];
  switch (a.type) {
    case ActionType::Send:
      return send(node, a);
    case ActionType::Fill:
      if (n.mapped != Right::None) fail("Fill of a mapped page");
      if (handled.content != Content::InPlace) n.page = incoming;
      return;
    case ActionType::Raise:
      if (n.page == Copy::Hole) fail("a right to a page without content");
      n.mapped = a.right;
      return;
    case ActionType::Downgrade:
      n.mapped = Right::Read;
      return;
    case ActionType::Zap:
      n.mapped = Right::None;
      n.page = Copy::Hole;
      return;
    case ActionType::Keep:
      n.kept = n.page;
      n.mapped = Right::None;
      n.page = Copy::Hole;
      return;
    case ActionType::DropKept:
      if (n.kept == Copy::Hole) fail("DropKept without an eviction buffer");
      n.kept = Copy::Hole;
      return;
    case ActionType::StoreMemory:
      if (n.mapped == Right::Write) fail("StoreMemory over a writable page");
      if (n.mapped == Right::None) n.page = incoming;
      return;
    case ActionType::StartHold:
      hold_started_ = true;
      return;
    case ActionType::Parked:
    case ActionType::Wake:
      return;
  }
}

void World::send(int node, const Action& a) {
  Node& n = nodes_[node];
  Packet p{a.message, Copy::Hole};
  if (a.payload != Payload::None) {
    p.content = a.payload == Payload::Kept ? n.kept : n.page;
    if (p.content == Copy::Hole) fail("a hole is sent");
    p.message.content = p.content == Copy::Zero ? Content::Zero : Content::Bytes;
    const bool clean_matters = p.message.right == Right::Write && entry_.migratory &&
                               right_of(n.entry.state) == Right::None;
    p.message.clean = sent_clean_ = clean_matters && choose();
  } else if (p.message.type == MessageType::Done && p.message.requester.value() != node) {
    p.message.clean = sent_clean_;
  }
  if (a.payload == Payload::Move) {
    n.page = Copy::Hole;
    n.mapped = Right::None;
  }
  Channel& c = stream(node, a.to.value(), stream_of(a.message));
  if (c.size == Channel::kDepth) return fail("stream deeper than the model allows");
  c.packet[c.size++] = p;
}

void World::store(int node) {
  auto make_stale = [](Copy& c) {
    if (c != Copy::Hole) c = Copy::Stale;
  };
  for (int i = 0; i < n_; ++i) {
    make_stale(nodes_[i].page);
    make_stale(nodes_[i].kept);
  }
  for (Channel& c : streams_) {
    for (int i = 0; i < c.size; ++i) {
      make_stale(c.packet[i].content);
      if (carries_content(c.packet[i].message)) c.packet[i].message.content = Content::Bytes;
    }
  }
  nodes_[node].page = Copy::Current;
}

bool World::quiet() const {
  for (const Channel& c : streams_) {
    if (c.size > 0) return false;
  }
  return std::none_of(nodes_.begin(), nodes_.begin() + n_,
                      [](const Node& n) { return n.entry.held; });
}

void World::check() {
  int writers = 0;
  int readers = 0;
  for (int i = 0; i < n_; ++i) {
    const Node& n = nodes_[i];
    writers += n.mapped == Right::Write;
    readers += n.mapped == Right::Read;
    const std::string who = "node " + std::to_string(i);
    if (n.mapped != Right::None && n.page == Copy::Stale) fail(who + " can read a stale copy");
    if (n.mapped != Right::None && n.page == Copy::Hole) fail(who + " maps a hole");
    if (n.mapped != right_of(n.entry.state)) fail(who + " maps more or less than its state says");
  }
  if (writers > 1 || (writers == 1 && readers > 0)) fail("a writer is not alone");
  if (txn_.queued > n_) fail("more requests queue at the home than there are nodes");
  if (!error_.empty() || !quiet()) return;
  // Nothing is on its way and nothing is held: whatever was asked must have been answered.
  if (!txn_.idle()) fail("the home waits for ever");
  for (int i = 0; i < n_; ++i) {
    const Node& n = nodes_[i];
    if (!n.txn.idle()) fail("node " + std::to_string(i) + " waits for ever");
    if (n.kept != Copy::Hole) fail("an eviction buffer is left");
    const bool owns = n.entry.state == CacheState::M || n.entry.state == CacheState::O;
    if (owns != entry_.is_owner(NodeId(static_cast<uint8_t>(i))))
      fail("directory and owner disagree");
  }
}

// --- canonical bytes
// ----------------------------------------------------------------------------------------------

namespace {

template <class Archive, class Value>
void value(Archive& ar, Value& v) {
  auto b = static_cast<uint8_t>(v);
  ar.byte(b);
  v = static_cast<Value>(b);
}

template <class Archive>
void node_id(Archive& ar, NodeId& n) {
  uint8_t v = n.value();
  ar.node(v);
  n = NodeId(v);
}

template <class Archive>
void packet(Archive& ar, Packet& p) {
  Message& m = p.message;
  value(ar, m.type);
  node_id(ar, m.requester);
  auto bits = static_cast<uint8_t>(m.acks | static_cast<int>(m.right) << 3 |
                                   static_cast<int>(m.content) << 5 | m.clean << 7);
  ar.byte(bits);
  m.acks = bits & 7;
  m.right = static_cast<Right>(bits >> 3 & 3);
  m.content = static_cast<Content>(bits >> 5 & 3);
  m.clean = bits >> 7;
  value(ar, m.closed);
  if (carries_content(m)) {
    value(ar, p.content);
  } else {
    p.content = Copy::Hole;
  }
  ar.request(m.requester.value(), m.request);
  if (version_matters(m.type)) {
    ar.version(m.version);
  } else {
    m.version = kNoCopy;  // not read by the core
  }
}

template <class Archive>
void cache_txn(Archive& ar, uint8_t self, CacheTransaction& t) {
  ar.request(self, t.request);
  value(ar, t.parked);
  if (t.request.value() != 0) {
    ar.version(t.granted);
    ar.byte(t.acks);
    value(ar, t.clean);
    value(ar, t.closed);
    ar.set(t.acked);
  }
  for (int i = 0; i < t.parked; ++i) {
    CacheTransaction::Parked& p = t.parked_message[i];
    value(ar, p.type);
    ar.byte(p.acks);
    value(ar, p.closed);
    node_id(ar, p.requester);
    ar.request(p.requester.value(), p.request);
    if (p.type == MessageType::FwdM) ar.version(p.version);
  }
}

}  // namespace

template <class Archive>
void World::fields(Archive& ar) {
  for (int i = 0; i < n_; ++i) {
    const uint8_t at = ar.at(i);
    Node& n = nodes_[at];
    auto bits = static_cast<uint8_t>(static_cast<int>(n.entry.state) | n.entry.held << 4 |
                                     static_cast<int>(n.mapped) << 5);
    ar.byte(bits);
    n.entry.state = static_cast<CacheState>(bits & 15);
    n.entry.held = bits >> 4 & 1;
    n.mapped = static_cast<Right>(bits >> 5);
    auto copies = static_cast<uint8_t>(static_cast<int>(n.page) | static_cast<int>(n.kept) << 2);
    ar.byte(copies);
    n.page = static_cast<Copy>(copies & 3);
    n.kept = static_cast<Copy>(copies >> 2);
    ar.version(n.entry.version);
    cache_txn(ar, at, n.txn);
  }
  ar.version(entry_.version);
  ar.set(entry_.sharers);
  ar.node(entry_.owner);
  if (options_.core.migratory) {
    ar.node(entry_.last_writer);
    value(ar, entry_.migratory);
  }
  ar.set(txn_.active);
  ar.set(txn_.closing);
  value(ar, txn_.readers);
  ar.byte(txn_.queued);
  for (int i = 0; i < n_; ++i) {
    const uint8_t at = ar.at(i);
    ar.request(at, txn_.request[at]);
  }
  for (int i = 0; i < txn_.queued; ++i) {
    HomeTransaction::Waiting& w = txn_.queue[i];
    node_id(ar, w.node);
    value(ar, w.type);
    ar.request(w.node.value(), w.request);
    if (w.type == MessageType::GetM) ar.version(w.version);
  }
  for (int from = 0; from < n_; ++from) {
    for (int to = 0; to < n_; ++to) {
      for (Stream s : {Stream::Control, Stream::Bulk}) {
        Channel& c = stream(ar.at(from), ar.at(to), s);
        ar.byte(c.size);
        for (int i = 0; i < c.size; ++i) packet(ar, c.packet[i]);
      }
    }
  }
}

void World::encode(std::string& out) {
  NamesInUse names;
  Collector collector(names);
  fields(collector);
  Permutation p;
  for (uint8_t i = 0; i < 16; ++i) p.order[i] = i;
  out.clear();
  do {
    for (uint8_t i = 0; i < 16; ++i) p.place[p.order[i]] = i;
    attempt_.clear();
    Writer writer(attempt_, p, names);
    fields(writer);
    if (out.empty() || attempt_ < out) out.swap(attempt_);
  } while (std::next_permutation(p.order.begin() + 1, p.order.begin() + n_));
}

void World::decode(const std::string& bytes) {
  for (int i = 0; i < n_; ++i) nodes_[i] = Node{};
  entry_ = DirectoryEntry{};
  txn_ = HomeTransaction{};
  Reader reader(bytes);
  fields(reader);
  error_.clear();
}

// --- words
// --------------------------------------------------------------------------------------------------------

std::string World::describe(const Transition& t) const {
  constexpr const char* kNames[] = {"reads", "writes",    "stores",  "evicts",
                                    "holds", "hold ends", "receives"};
  std::string text = "node " + std::to_string(t.node) + " " + kNames[static_cast<int>(t.type)];
  if (t.type == Transition::Type::Deliver) {
    const Packet& p = stream(t.from, t.node, t.stream).packet[0];
    text += std::string(" ") + dsm::name_of(p.message.type) + " of " +
            std::to_string(p.message.requester.value()) + " from " + std::to_string(t.from);
    if (carries_content(p.message)) text += std::string(" (") + name_of(p.content) + ")";
  }
  return text;
}

std::string World::summary() const {
  std::string text;
  for (int i = 0; i < n_; ++i) {
    const Node& n = nodes_[i];
    text += dsm::name_of(n.entry.state);
    if (n.entry.held) text += "+held";
    text += std::string("/") + name_of(n.page) + " ";
  }
  text += "| owner " + (entry_.owned_by_memory() ? "memory" : std::to_string(entry_.owner));
  text += " sharers " + std::to_string(entry_.sharers.bits()) + (txn_.idle() ? "" : " busy");
  return text;
}

}  // namespace pando::dsm::model
