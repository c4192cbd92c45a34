// SPDX-License-Identifier: Apache-2.0
// N nodes with real coherence cores in one process and virtual time.
//
// A node = the core's steps for its home pages and for its cache, an executor of their actions on
// real page content, and threads that run instructions on one to three pages.  Ordered streams with
// random delays connect the nodes.  After every step of a core the oracle looks at the page on all
// nodes.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <vector>

#include "dsm/core/hold_policy.h"
#include "dsm/core/peer_watch.h"
#include "tests/model/core_steps.h"
#include "tests/sim/random.h"
#include "tests/sim/scenario.h"

namespace pando::dsm::sim {

using Words = std::array<uint32_t, kWords>;

// A page of a node's guest-RAM file.  Hole: no content here.  Zero: no content, but known to be
// zeros.
struct PageData {
  enum class Kind : uint8_t { Hole, Zero, Bytes };
  Kind kind = Kind::Hole;
  Words words{};
};

struct Packet {
  enum class Kind : uint8_t { Protocol, Heartbeat, Ending };
  Kind kind = Kind::Protocol;
  NodeId lost{};  // Ending: which node is lost
  Message message{};
  PageData content{};
};

struct Access {
  int page = 0;
  int word = 0;
  bool write = false;
};

struct Instruction {
  int operands = 0;
  std::array<Access, kOperandsMax> access;
};

struct Thread {
  enum class State : uint8_t { Runnable, Waiting, Finished };
  State state = State::Runnable;
  int left = 0;          // instructions
  uint64_t serial = 0;   // of the current instruction; serves as its address
  int waits_for = -1;    // page
  Nanos started_ns = 0;  // current instruction
  Nanos asked_ns = 0;    // last request
  Instruction current;
  FaultStreak streak;
};

struct NodePage {
  CacheEntry entry;
  CacheTransaction txn;
  Right mapped = Right::None;
  bool written = false;  // since the right to write was granted
  PageData page;
  PageData kept;
  uint32_t hold = 0;         // number of the last StartHold: older timers are void
  std::vector<int> waiting;  // threads
};

struct HomePage {
  DirectoryEntry entry;
  HomeTransaction txn;
};

struct SimNode {
  bool alive = true;
  std::optional<NodeId> ended;  // the cluster is over: this node was lost
  Nanos ended_ns = 0;
  Nanos busy_until_ns = 0;
  uint32_t last_request = 0;
  FetchTime fetch{100'000};
  std::array<NodePage, kPagesSim> page;
  std::vector<Thread> thread;
  std::optional<PeerWatch> watch;
};

// What a run was like; for the bench and to see that runs are not trivial.
struct Statistics {
  int64_t steps = 0;
  int64_t messages = 0;
  int64_t pages_sent = 0;
  int64_t faults = 0;
  int64_t instructions = 0;
  int64_t evictions = 0;
  int64_t parked = 0;
  int64_t losses = 0;      // nodes that noticed by themselves that another is lost
  int64_t zero_pages = 0;  // content moved by name alone
  Nanos time_ns = 0;
  Nanos longest_ns = 0;                      // instruction
  std::array<int64_t, kNodesSim> by_node{};  // instructions
  bool operator==(const Statistics&) const = default;
};

class Cluster {
 public:
  Cluster(const Scenario& scenario, const CoreSteps& core, uint64_t seed);

  // Runs to the end.  False: error() says which rule was broken.
  bool run();
  const std::string& error() const { return error_; }
  const Statistics& statistics() const { return stats_; }
  void set_trace(bool on) { trace_ = on; }

  // Bench: every thread runs this instruction again and again until `until_ns`, instead of random
  // ones.
  void pin_instruction(int node, int thread, const Instruction& instruction, Nanos until_ns);

 private:
  struct Event {
    enum class Kind : uint8_t { Run, Deliver, HoldEnds, Evict, Heartbeat, Crash };
    Nanos at_ns = 0;
    uint64_t order = 0;
    Kind kind{};
    uint8_t node = 0;     // who acts
    uint8_t from = 0;     // Deliver
    Stream stream{};      // Deliver
    uint8_t page = 0;     // HoldEnds
    uint32_t number = 0;  // HoldEnds: which hold; Run: thread
    bool operator>(const Event& o) const {
      return at_ns != o.at_ns ? at_ns > o.at_ns : order > o.order;
    }
  };
  struct Link {
    Nanos last_ns = 0;
    std::deque<Packet> packets;
  };
  struct Pinned {
    Instruction instruction;
    Nanos until_ns = 0;
  };

  void set_up_pages();
  void schedule(Event e);
  void handle(const Event& e);

  void on_run(int node, int thread);
  bool begin_instruction(int node, Thread& t);
  void execute(int node, Thread& t);
  void block(int node, int thread, int page);
  void wake(int node, int page);

  void on_deliver(const Event& e);
  void receive(int node, NodeId from, const Packet& packet);
  void home_receives(int node, NodeId from, const Packet& packet);
  StepResult cache_step(int node, int page, const CacheEvent& event, const PageData& content);
  void run_actions(int node, int page, const ActionList& actions, const Packet& handled);
  void run_action(int node, int page, const Action& action, const Packet& handled);
  void send_action(int node, int page, const Action& action);
  void post(int from, int to, Stream stream, const Packet& packet);
  void start_hold(int node, int page);
  void set_hold_timer(int node, int page, Nanos window);
  void on_hold_ends(const Event& e);
  void on_evict(int node);
  void evict_if_full(int node);

  void on_crash(int node);
  void on_heartbeat(int node);
  void end(int node, NodeId lost);

  void check_page(int page);
  void check_end();
  bool finished() const;
  Nanos slowed(int node, Nanos ns) const { return ns * scenario_.slowness[node]; }
  Nanos round_trip() const;
  int home_of(int page) const { return page % scenario_.nodes; }
  CoreConfig config(int node) const;
  Link& link(int from, int to, Stream s);
  void fail(const std::string& what);
  void trace(int node, const std::string& what);

  Scenario scenario_;
  const CoreSteps& core_;
  Random random_;
  std::vector<SimNode> nodes_;
  std::array<HomePage, kPagesSim> home_;
  std::array<Words, kPagesSim> latest_{};  // what every read must see
  std::array<bool, kPagesSim> ever_written_{};
  std::vector<Link> links_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::array<std::array<std::optional<Pinned>, kThreadsSim>, kNodesSim> pinned_;
  uint64_t next_order_ = 0;
  uint64_t next_serial_ = 1;
  Nanos now_ns_ = 0;
  Nanos hold_window_ns_ = 0;  // for the Hold event under way
  bool sent_clean_ = false;  // by the step under way
  bool crashed_ = false;
  bool trace_ = false;
  std::string error_;
  Statistics stats_;
};

}  // namespace pando::dsm::sim
