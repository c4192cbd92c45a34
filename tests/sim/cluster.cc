// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/cluster.h"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace pando::dsm::sim {

using Kind = PageData::Kind;

Cluster::Cluster(const Scenario& scenario, const CoreSteps& core, uint64_t seed)
    : scenario_(scenario),
      core_(core),
      random_(seed ^ 0x5eed),
      nodes_(scenario.nodes),
      links_(scenario.nodes * scenario.nodes * 2) {
  for (int& factor : scenario_.slowness) factor = std::max(factor, 1);
  set_up_pages();
  for (int n = 0; n < scenario_.nodes; ++n) {
    const NodeId self(static_cast<uint8_t>(n));
    nodes_[n].watch.emplace(self, scenario_.nodes, scenario_.silence_limit_ns, 0);
    nodes_[n].thread.resize(scenario_.threads_per_node);
    for (int t = 0; t < scenario_.threads_per_node; ++t) {
      nodes_[n].thread[t].left = scenario_.instructions;
      schedule({random_.between(0, 20'000),
                0,
                Event::Kind::Run,
                static_cast<uint8_t>(n),
                0,
                {},
                0,
                static_cast<uint32_t>(t)});
    }
    schedule({scenario_.silence_limit_ns / 4, 0, Event::Kind::Heartbeat, static_cast<uint8_t>(n)});
  }
  if (scenario_.crashing_node >= 0)
    schedule(
        {scenario_.crash_ns, 0, Event::Kind::Crash, static_cast<uint8_t>(scenario_.crashing_node)});
}

void Cluster::set_up_pages() {
  for (int p = 0; p < scenario_.pages; ++p) {
    const NodeId home(static_cast<uint8_t>(home_of(p)));
    const bool image = p < scenario_.shared_pages;
    home_[p].entry = image ? initial_shared_entry(scenario_.nodes) : initial_home_entry(home);
    for (int n = 0; n < scenario_.nodes; ++n) {
      const NodeId self(static_cast<uint8_t>(n));
      NodePage& page = nodes_[n].page[p];
      page.entry = image ? initial_shared_cache_entry() : initial_cache_entry(self, home);
      page.mapped = right_of(page.entry.state);
      if (image) page.page = {Kind::Bytes, Words{1, 1}};
      if (!image && self == home) page.page.kind = Kind::Zero;
    }
    if (image) latest_[p] = Words{1, 1};
  }
}

CoreConfig Cluster::config(int node) const {
  CoreConfig c = scenario_.core;
  c.self = NodeId(static_cast<uint8_t>(node));
  c.nodes = static_cast<uint8_t>(scenario_.nodes);
  return c;
}

Cluster::Link& Cluster::link(int from, int to, Stream s) {
  return links_[(from * scenario_.nodes + to) * 2 + static_cast<int>(s)];
}

void Cluster::schedule(Event e) {
  e.order = next_order_++;
  events_.push(e);
}

void Cluster::fail(const std::string& what) {
  if (error_.empty()) error_ = what;
}

void Cluster::trace(int node, const std::string& what) {
  if (trace_)
    std::printf("%12.3f us  node %d  %s\n", static_cast<double>(now_ns_) / 1000, node,
                what.c_str());
}

void Cluster::pin_instruction(int node, int thread, const Instruction& instruction,
                              Nanos until_ns) {
  pinned_[node][thread] = Pinned{instruction, until_ns};
}

bool Cluster::run() {
  while (!events_.empty() && error_.empty() && !finished()) {
    const Event e = events_.top();
    events_.pop();
    now_ns_ = e.at_ns;
    if (now_ns_ > scenario_.time_limit_ns) fail("somebody waits for ever");
    if (++stats_.steps > scenario_.steps_max) fail("nobody gets anywhere");
    if (error_.empty() && nodes_[e.node].alive) handle(e);
  }
  stats_.time_ns = now_ns_;
  if (error_.empty()) check_end();
  return error_.empty();
}

void Cluster::handle(const Event& e) {
  switch (e.kind) {
    case Event::Kind::Run:
      return on_run(e.node, static_cast<int>(e.number));
    case Event::Kind::Deliver:
      return on_deliver(e);
    case Event::Kind::HoldEnds:
      return on_hold_ends(e);
    case Event::Kind::Evict:
      return on_evict(e.node);
    case Event::Kind::Heartbeat:
      return on_heartbeat(e.node);
    case Event::Kind::Crash:
      return on_crash(e.node);
  }
}

// --- threads
// ------------------------------------------------------------------------------------------------------

// False: the thread has no instruction left.
bool Cluster::begin_instruction(int node, Thread& t) {
  const int index = static_cast<int>(&t - nodes_[node].thread.data());
  const std::optional<Pinned>& pinned = pinned_[node][index];
  if (pinned ? now_ns_ >= pinned->until_ns : t.left == 0) return false;
  --t.left;
  t.started_ns = now_ns_;
  if (pinned) {
    t.serial =
        static_cast<uint64_t>(node * kThreadsSim + index + 1);  // a loop: always the same address
    t.current = pinned->instruction;
    return true;
  }
  t.serial = 1000 + next_serial_++;
  t.current.operands =
      static_cast<int>(random_.between(1, std::min(scenario_.operands_max, scenario_.pages)));
  const int first = static_cast<int>(random_.between(0, scenario_.pages - 1));
  for (int i = 0; i < t.current.operands; ++i) {
    Access& a = t.current.access[i];
    a.page = (first + i) % scenario_.pages;
    a.word = static_cast<int>(random_.between(0, kWords - 1));
    a.write = random_.between(1, 100) <= scenario_.writes_percent;
  }
  // Some instructions touch their pages in the other order.
  if (random_.one_in(2))
    std::reverse(t.current.access.begin(), t.current.access.begin() + t.current.operands);
  return true;
}

void Cluster::on_run(int node, int thread) {
  SimNode& n = nodes_[node];
  Thread& t = n.thread[thread];
  if (n.ended || t.state == Thread::State::Finished) return;
  t.state = Thread::State::Runnable;
  t.waits_for = -1;
  if (t.serial == 0 && !begin_instruction(node, t)) {
    t.state = Thread::State::Finished;
    return;
  }
  for (int i = 0; i < t.current.operands; ++i) {
    const Access& a = t.current.access[i];
    if (n.page[a.page].mapped >= (a.write ? Right::Write : Right::Read)) continue;
    return block(node, thread, a.page);
  }
  execute(node, t);
  schedule({now_ns_ + random_.between(100, 5'000),
            0,
            Event::Kind::Run,
            static_cast<uint8_t>(node),
            0,
            {},
            0,
            static_cast<uint32_t>(thread)});
}

// Asks for `page` and waits.  If the right is here by now, runs again.
void Cluster::block(int node, int thread, int page) {
  SimNode& n = nodes_[node];
  Thread& t = n.thread[thread];
  bool write = false;
  for (int i = 0; i < t.current.operands; ++i)
    write |= t.current.access[i].page == page && t.current.access[i].write;
  const CacheEventType type = write ? CacheEventType::Write : CacheEventType::Read;
  const StepResult r =
      cache_step(node, page, {type, NodeId(), RequestId(++n.last_request), {}}, {});
  if (r.outcome == Outcome::Hit) return fail("the core says hit, the mapping says no");
  ++stats_.faults;
  t.streak.on_fault(t.serial, PageId(static_cast<uint32_t>(page)),
                    write ? Right::Write : Right::Read);
  t.state = Thread::State::Waiting;
  t.waits_for = page;
  t.asked_ns = now_ns_;
  n.page[page].waiting.push_back(thread);
}

void Cluster::wake(int node, int page) {
  SimNode& n = nodes_[node];
  for (int thread : n.page[page].waiting) {
    FaultStreak& streak = n.thread[thread].streak;
    const auto here = [&](const FaultStreak::Need& need) {
      return n.page[need.page.value()].mapped >= need.right;
    };
    if (std::all_of(streak.needs().begin(), streak.needs().end(), here)) streak.on_all_here();
    n.fetch.add(now_ns_ - n.thread[thread].asked_ns);
    schedule({now_ns_ + slowed(node, scenario_.wake_ns),
              0,
              Event::Kind::Run,
              static_cast<uint8_t>(node),
              0,
              {},
              0,
              static_cast<uint32_t>(thread)});
  }
  n.page[page].waiting.clear();
}

void Cluster::execute(int node, Thread& t) {
  SimNode& n = nodes_[node];
  for (int i = 0; i < t.current.operands; ++i) {
    const Access& a = t.current.access[i];
    NodePage& p = n.page[a.page];
    if (p.page.kind == Kind::Hole) return fail("node " + std::to_string(node) + " reads a hole");
    if (p.page.words[a.word] != latest_[a.page][a.word])
      return fail("node " + std::to_string(node) + " reads an old value of page " +
                  std::to_string(a.page));
    if (!a.write) continue;
    p.page.kind = Kind::Bytes;
    p.page.words[a.word] =
        ++latest_[a.page][a.word];  // read, add, write: a lost update shows as an old value
    p.written = true;
    ever_written_[a.page] = true;
  }
  ++stats_.instructions;
  ++stats_.by_node[node];
  stats_.longest_ns = std::max(stats_.longest_ns, now_ns_ - t.started_ns);
  t.serial = 0;
}

// --- messages
// -----------------------------------------------------------------------------------------------------

void Cluster::post(int from, int to, Stream stream, const Packet& packet) {
  Link& l = link(from, to, stream);
  // A node's messages to itself go through its own queue.
  const Nanos delay =
      from == to ? 0 : random_.between(scenario_.delay_min_ns, scenario_.delay_max_ns);
  l.last_ns = std::max(l.last_ns, now_ns_ + delay);
  l.packets.push_back(packet);
  ++stats_.messages;
  if (packet.content.kind == Kind::Bytes) ++stats_.pages_sent;
  if (packet.message.content == Content::Zero) ++stats_.zero_pages;
  schedule({l.last_ns, 0, Event::Kind::Deliver, static_cast<uint8_t>(to),
            static_cast<uint8_t>(from), stream});
}

void Cluster::on_deliver(const Event& e) {
  SimNode& n = nodes_[e.node];
  if (now_ns_ < n.busy_until_ns) {  // the agent handles one message after the other
    Event later = e;
    later.at_ns = n.busy_until_ns;
    return schedule(later);
  }
  Link& l = link(e.from, e.node, e.stream);
  if (l.packets.empty()) return;  // cut by a crash
  const Packet packet = l.packets.front();
  l.packets.pop_front();
  n.busy_until_ns = now_ns_ + slowed(e.node, scenario_.step_ns);
  n.watch->heard(NodeId(e.from), now_ns_);
  if (!n.ended) receive(e.node, NodeId(e.from), packet);
}

void Cluster::receive(int node, NodeId from, const Packet& packet) {
  if (packet.kind == Packet::Kind::Ending) return end(node, packet.lost);
  if (packet.kind == Packet::Kind::Heartbeat) return;
  const Message& m = packet.message;
  if (trace_)
    trace(node, std::string(name_of(m.type)) + " of node " + std::to_string(m.requester.value()) +
                    " page " + std::to_string(m.page.value()) + " from " +
                    std::to_string(from.value()));
  if (is_for_home(m.type)) return home_receives(node, from, packet);
  const int page = static_cast<int>(m.page.value());
  cache_step(node, page, {CacheEventType::Receive, from, RequestId(), m}, packet.content);
}

void Cluster::home_receives(int node, NodeId from, const Packet& packet) {
  const int page = static_cast<int>(packet.message.page.value());
  HomePage& h = home_[page];
  HomeHint hint;
  hint.never_written = nodes_[node].page[page].page.kind == Kind::Zero;
  hint.many = random_.one_in(4);
  ActionList actions;
  const StepResult r =
      core_.home(config(node), h.entry, h.txn, from, packet.message, hint, actions);
  if (r.outcome != Outcome::Ok) return fail(std::string("home: ") + r.reason);
  if (h.txn.queued > scenario_.nodes)
    return fail("more requests queue than there are nodes");
  run_actions(node, page, actions, packet);
  check_page(page);
}

StepResult Cluster::cache_step(int node, int page, const CacheEvent& event,
                               const PageData& content) {
  NodePage& p = nodes_[node].page[page];
  const CachePage where{PageId(static_cast<uint32_t>(page)),
                        NodeId(static_cast<uint8_t>(home_of(page)))};
  ActionList actions;
  const StepResult r = core_.cache(config(node), where, p.entry, p.txn, event, actions);
  if (!r.ok() || r.outcome == Outcome::StaleEpoch) {
    fail("node " + std::to_string(node) + ": " + r.reason);
    return r;
  }
  Packet handled;
  handled.message = event.message;
  handled.content = content;
  run_actions(node, page, actions, handled);
  check_page(page);
  return r;
}

void Cluster::run_actions(int node, int page, const ActionList& actions, const Packet& handled) {
  sent_clean_ = false;
  for (const Action& a : actions) run_action(node, page, a, handled);
}

void Cluster::run_action(int node, int page, const Action& a, const Packet& handled) {
  NodePage& p = nodes_[node].page[page];
  switch (a.type) {
    case ActionType::Send:
      return send_action(node, page, a);
    case ActionType::Fill:
      if (handled.message.content == Content::InPlace) return;
      p.page = handled.content;
      return;
    case ActionType::Raise:
      p.mapped = a.right;
      p.written = false;
      evict_if_full(node);
      return;
    case ActionType::Downgrade:
      p.mapped = Right::Read;
      return;
    case ActionType::Zap:
      p.mapped = Right::None;
      p.page = PageData{};
      return;
    case ActionType::Keep:
      p.kept = p.page;
      p.mapped = Right::None;
      p.page = PageData{};
      return;
    case ActionType::DropKept:
      p.kept = PageData{};
      return;
    case ActionType::StoreMemory:
      if (p.mapped == Right::None) p.page = handled.content;
      return;
    case ActionType::StartHold:
      if (hold_window_ns_ != 0)
        return set_hold_timer(node, page, std::exchange(hold_window_ns_, 0));
      return start_hold(node, page);
    case ActionType::Parked:
      ++stats_.parked;
      return;
    case ActionType::Wake:
      return wake(node, page);
  }
}

void Cluster::send_action(int node, int page, const Action& a) {
  NodePage& p = nodes_[node].page[page];
  Packet packet;
  packet.message = a.message;
  if (a.payload != Payload::None) {
    packet.content = a.payload == Payload::Kept ? p.kept : p.page;
    if (packet.content.kind == Kind::Hole)
      return fail("node " + std::to_string(node) + " sends a hole");
    packet.message.content = packet.content.kind == Kind::Zero ? Content::Zero : Content::Bytes;
    packet.message.clean = a.message.type == MessageType::Data && !p.written &&
                           !(home_of(page) == node && home_[page].entry.owned_by_memory());
    sent_clean_ = packet.message.clean;
  } else if (a.message.type == MessageType::Done && a.message.requester.value() != node) {
    packet.message.clean = sent_clean_;
  }
  if (a.payload == Payload::Move) {
    p.page = PageData{};
    p.mapped = Right::None;
  }
  post(node, a.to.value(), stream_of(a.message), packet);
}

// --- holds and eviction
// ---------------------------------------------------------------------------------------------

// What heartbeats would measure.
Nanos Cluster::round_trip() const {
  int slowest = 1;
  for (int n = 0; n < scenario_.nodes; ++n) slowest = std::max(slowest, scenario_.slowness[n]);
  return scenario_.delay_min_ns + scenario_.delay_max_ns + slowest * scenario_.step_ns;
}

// The page was just granted.  What else its waiting threads need for their instruction shares the
// new hold.
void Cluster::start_hold(int node, int page) {
  SimNode& n = nodes_[node];
  const HoldPolicy policy(NodeId(static_cast<uint8_t>(node)), HoldPolicyOptions{});
  uint32_t repeats = 0;
  for (int thread : n.page[page].waiting)
    repeats = std::max(repeats, n.thread[thread].streak.repeats());
  Nanos window = scenario_.hold_ns;
  if (window == 0) window = policy.window_ns({n.fetch.estimate_ns(), round_trip(), repeats});
  set_hold_timer(node, page, window);
  if (scenario_.share_holds == ShareHolds::No) return;
  for (int thread : n.page[page].waiting) {
    for (const FaultStreak::Need& need : n.thread[thread].streak.needs()) {
      const int other = static_cast<int>(need.page.value());
      if (other == page || n.page[other].mapped < need.right) continue;
      hold_window_ns_ = window;
      cache_step(node, other, {CacheEventType::Hold, {}, {}, {}}, {});
    }
  }
}

void Cluster::set_hold_timer(int node, int page, Nanos window) {
  schedule({now_ns_ + slowed(node, scenario_.wake_ns) + window,
            0,
            Event::Kind::HoldEnds,
            static_cast<uint8_t>(node),
            0,
            {},
            static_cast<uint8_t>(page),
            ++nodes_[node].page[page].hold});
}

void Cluster::on_hold_ends(const Event& e) {
  SimNode& n = nodes_[e.node];
  if (n.ended || n.page[e.page].hold != e.number) return;
  cache_step(e.node, e.page, {CacheEventType::HoldExpired, {}, {}, {}}, {});
}

void Cluster::evict_if_full(int node) {
  int foreign = 0;
  for (int p = 0; p < scenario_.pages; ++p)
    foreign += home_of(p) != node && nodes_[node].page[p].mapped != Right::None;
  if (foreign > scenario_.foreign_max)
    schedule(
        {now_ns_ + random_.between(0, 50'000), 0, Event::Kind::Evict, static_cast<uint8_t>(node)});
}

void Cluster::on_evict(int node) {
  SimNode& n = nodes_[node];
  if (n.ended) return;
  const int first = static_cast<int>(random_.between(0, scenario_.pages - 1));
  for (int i = 0; i < scenario_.pages; ++i) {
    const int p = (first + i) % scenario_.pages;
    const StepResult r =
        cache_step(node, p, {CacheEventType::Evict, {}, RequestId(++n.last_request), {}}, {});
    if (r.outcome == Outcome::Kept || !error_.empty()) continue;
    trace(node, "evicts page " + std::to_string(p));
    ++stats_.evictions;
    return;
  }
}

// --- loss of a node
// -------------------------------------------------------------------------------------------------

void Cluster::on_crash(int node) {
  trace(node, "crashes");
  nodes_[node].alive = false;
  crashed_ = true;
  for (int to = 0; to < scenario_.nodes; ++to) {
    for (Stream s : {Stream::Control, Stream::Bulk}) {
      // The rest of a stream, from anywhere on, is lost with its sender.
      std::deque<Packet>& packets = link(node, to, s).packets;
      packets.resize(static_cast<size_t>(random_.between(0, static_cast<int64_t>(packets.size()))));
    }
  }
}

void Cluster::on_heartbeat(int node) {
  SimNode& n = nodes_[node];
  if (n.ended) return;
  if (const auto lost = n.watch->silent(now_ns_)) {
    ++stats_.losses;
    return end(node, *lost);
  }
  Packet beat;
  beat.kind = Packet::Kind::Heartbeat;
  for (int to = 0; to < scenario_.nodes; ++to) {
    if (to != node) post(node, to, Stream::Control, beat);
  }
  schedule({now_ns_ + scenario_.silence_limit_ns / 4, 0, Event::Kind::Heartbeat,
            static_cast<uint8_t>(node)});
}

// The cluster is over for this node: it tells the others, and nobody here waits any more.
void Cluster::end(int node, NodeId lost) {
  SimNode& n = nodes_[node];
  if (n.ended) return;
  trace(node, "reports the loss of node " + std::to_string(lost.value()));
  n.ended = lost;
  n.ended_ns = now_ns_;
  Packet ending;
  ending.kind = Packet::Kind::Ending;
  ending.lost = lost;
  for (int to = 0; to < scenario_.nodes; ++to) {
    if (to != node) post(node, to, Stream::Control, ending);
  }
  for (Thread& t : n.thread) t.state = Thread::State::Finished;
}

// --- oracle
// ---------------------------------------------------------------------------------------------------------

void Cluster::check_page(int page) {
  int writers = 0;
  int readers = 0;
  for (int i = 0; i < scenario_.nodes; ++i) {
    const NodePage& p = nodes_[i].page[page];
    if (!nodes_[i].alive || p.mapped == Right::None) continue;
    writers += p.mapped == Right::Write;
    readers += p.mapped == Right::Read;
    const std::string who = "node " + std::to_string(i) + " page " + std::to_string(page);
    if (p.page.kind == Kind::Hole) fail(who + " maps a hole");
    if (p.page.words != latest_[page]) fail(who + " maps an old copy");
    if (p.mapped > right_of(p.entry.state)) fail(who + " maps more than its state says");
  }
  if (writers > 1 || (writers == 1 && readers > 0))
    fail("page " + std::to_string(page) + ": a writer is not alone");
}

bool Cluster::finished() const {
  for (const SimNode& n : nodes_) {
    if (!n.alive) continue;
    if (crashed_ && !n.ended) return false;
    for (const Thread& t : n.thread) {
      if (t.state != Thread::State::Finished) return false;
    }
  }
  // Without a crash let everything on its way arrive, so that what is left can be judged.
  if (crashed_) return true;
  return std::all_of(links_.begin(), links_.end(), [](const Link& l) { return l.packets.empty(); });
}

void Cluster::check_end() {
  if (!finished()) return fail("a thread waits, and nothing is on its way to it");
  if (crashed_) {
    const Nanos limit = scenario_.crash_ns + scenario_.silence_limit_ns * 3 / 2;
    for (const SimNode& n : nodes_) {
      if (!n.alive) continue;
      if (n.ended->value() != scenario_.crashing_node) fail("the wrong node is named as lost");
      if (n.ended_ns > limit) fail("a lost node is noticed too late");
    }
    return;
  }
  for (int p = 0; p < scenario_.pages; ++p) {
    if (!home_[p].txn.idle()) fail("the home of page " + std::to_string(p) + " waits for ever");
    for (const SimNode& n : nodes_) {
      if (n.ended) fail("a node is reported lost that is not");
      if (n.page[p].txn.request.value() != 0)
        fail("a request for page " + std::to_string(p) + " is left");
    }
  }
}

}  // namespace pando::dsm::sim
