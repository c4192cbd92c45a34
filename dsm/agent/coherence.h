// SPDX-License-Identifier: Apache-2.0
// The executor of dsm/core on real pages: turns what the client asks and what peers say into steps of the core, and
// the core's actions into operations on guest RAM, page words and peer messages.
//
// One mutex guards the tables.  Callers come on their own threads (the "requests" thread, gRPC threads, the hold
// timer), step, and carry the actions out at once: no hand-over between threads on the path of a fault.  Lock order:
// the mutex, then one page's lock word, then an outbox.  Messages are put into outboxes under the mutex, which gives
// them their order, and sent after it was released.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <queue>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "dsm/agent/guest_memory.h"
#include "dsm/agent/latency.h"
#include "dsm/agent/node_config.h"
#include "dsm/agent/page_run.h"
#include "dsm/agent/page_wire.h"
#include "dsm/agent/read_streams.h"
#include "dsm/agent/trace_ring.h"
#include "dsm/client/node_client.h"
#include "dsm/core/tables.h"
#include "dsm/rpc/peer_mesh.h"
#include "dsm/shm/control_memory.h"

namespace pando::dsm {

struct CoherenceMetrics {
  std::atomic<uint64_t> requests_read{0}, requests_write{0}, prefetches{0}, pages_in{0}, pages_out{0}, zero_in{0},
      invalidations{0}, downgrades{0}, evictions{0}, parked{0}, stale_epoch{0}, overload{0}, protocol_errors{0};
  LatencyHistogram post;     // posted by the client -> taken by the agent
  LatencyHistogram request;  // request begun -> right granted, on the requesting node
  LatencyHistogram answer;   // request sent -> Data or Grant received
  LatencyHistogram home;     // request received -> Done, at the home
  LatencyHistogram serve;    // message that asks for a page received -> answer or forwards in the outboxes
  LatencyHistogram revoke;   // taking a page away from every mapping of this node
  LatencyHistogram install;  // Data received -> right granted and waiters woken
  LatencyHistogram hold;     // message parked -> carried out
};

// What the core knows about a page, for the debugger.
struct PageView {
  CacheEntry cache;
  std::optional<DirectoryEntry> home;  // on its home only
  bool home_busy = false;
};

class Coherence final : private PageRun::LockWatcher {
 public:
  // Told of a peer that breaks the protocol or does not read; called under the engine's mutex, must only note it.
  class Watcher {
   public:
    virtual ~Watcher() = default;
    virtual void on_peer_broken(NodeId peer, const std::string& why) = 0;
    virtual void on_client_broken(const std::string& why) = 0;
    virtual void on_host_failure(const std::string& why) = 0;
  };

  Coherence(const NodeConfig& config, const ClusterPlan& plan, GuestMemory& memory, const ControlMemory& control,
            PeerMesh& mesh, Watcher& watcher, TraceRing& trace);
  ~Coherence() override;

  // Start of the cluster only, on every node alike.
  void share_everywhere(PageId first, uint32_t pages);
  std::string preload_digest();

  struct Fetch {
    PageId page;
    Access access;
  };
  // What threads of this node wait for.  Messages for one peer leave together.  Throws HostError, as receive().
  void fetch(std::span<const Fetch> fetches);
  // A reader has come to a page that was asked for ahead of it.
  void read_on(PageId page);
  void receive(NodeId from, const v1::PeerFrame& frame);
  void stop();

  const CoherenceMetrics& metrics() const { return metrics_; }
  void note_post(uint64_t ns) { metrics_.post.add(ns); }
  uint64_t pages_foreign() const { return foreign_held_; }
  // The oldest request of this node that has waited longer than this.
  struct Overdue {
    PageId page;
    NodeId home;
  };
  std::optional<Overdue> overdue(std::chrono::nanoseconds limit);
  PageView view(PageId page);

 private:
  struct Incoming {  // content of the message being handled
    const uint8_t* bytes = nullptr;
  };
  struct Kept {
    bool zero = false;
    PageBytes bytes;
  };
  struct Due {
    int64_t at_ns;
    PageId page;
    bool operator>(const Due& o) const { return at_ns > o.at_ns; }
  };

  struct Waiting {
    PageId page;
    RequestId request;
    int64_t since_ns;
  };

  // PageRun::LockWatcher
  std::chrono::nanoseconds lock_limit() override;
  void on_lock_forced() override;

  // Calls f() while run_ is these pages.
  template <class F>
  void in_run(PageId first, uint32_t count, F f);
  // Under the mutex.  False: stopping.
  bool receive_run(NodeId from, const v1::PageMessage& wire);
  void handle_run(NodeId from, const WireRun& run);
  void freeze_for_readers(const WireRun& run);
  void handle_self_messages();
  void handle(NodeId from, const Message& message, const Incoming& incoming);
  void execute(PageId page, const Message& message, const Incoming& incoming);
  void settle();  // self messages, parked messages, eviction
  void kick(uint64_t touched);
  void check(const StepResult& result, NodeId from, const Message& message);

  // With run_ at the page.
  void carry_out(PageId page, const Action& action, const Message& message, const Incoming& incoming);
  void send(PageId page, const Action& action);
  void send_peer(NodeId to, const Message& message, const uint8_t* content);
  void put_content(PageId page, const Incoming& incoming, Content content);
  void raise(PageId page, Right right);
  void downgrade(PageId page);
  void keep(PageId page);
  const uint8_t* take_content(PageId page);
  const uint8_t* read_content(PageId page);
  void note_held(PageId page);
  void note_revoked(PageId page, int64_t begun_ns);
  void lose_right(PageId page);

  bool is_waiting(const Waiting& w) const;
  bool begin_access(PageId page, Right right);
  void read_ahead(PageId page);
  bool ask_ahead(uint32_t first, uint32_t count);
  void evict_over_limit();
  // Steps HoldExpired if the page's hold is over (returns 0), else says when to look again.
  int64_t expire_hold(PageId page);
  int64_t hold_left_ns(PageId page) const;
  void hold_again(PageId page);
  void run_timer();
  void serve_timer();

  bool is_foreign(PageId page) const { return !homed_.has(page); }
  RequestId next_request();

  const NodeSwitches switches_;
  const NodeId self_;
  const uint64_t cache_pages_;
  const ControlMemory& control_;
  PeerMesh& mesh_;
  Watcher& watcher_;
  TraceRing& trace_;
  CoherenceMetrics metrics_;

  std::mutex mutex_;  // everything below
  PageRange homed_;
  CacheTable cache_;
  DirectoryTable home_;
  ActionList actions_;
  std::deque<Message> self_queue_;  // from this node to itself: never carry content
  std::unordered_map<uint32_t, Kept> kept_;
  std::vector<PageId> parked_;   // by the step under way
  bool was_reading_ = false;     // the step under way answers a read
  bool was_clean_ = false;       // the page of the step under way was never written since it was granted
  PageRun run_;
  Joining joining_ = Joining::Allowed;  // of what is sent next
  uint64_t touched_ = 0;         // outboxes to kick: bit peer * kPeerStreams + stream
  uint32_t request_ = 0;
  struct Started {
    uint32_t key = 0;
    int64_t at_ns = 0;
  };
  std::deque<Waiting> waiting_;               // oldest first; entries whose request is done are dropped from the front
  std::vector<Started> request_started_;      // by request id, direct mapped
  std::vector<Started> home_started_;         // by page, direct mapped
  std::deque<PageId> foreign_pages_;          // in order of arrival, for eviction
  std::vector<bool> is_listed_;               // in foreign_pages_
  std::atomic<uint64_t> foreign_held_{0};
  ReadStreams streams_;
  std::vector<std::pair<uint32_t, uint32_t>> preloaded_;

  std::condition_variable timer_wake_;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
  bool stopping_ = false;
  bool client_broken_ = false;
  std::thread timer_;
};

}  // namespace pando::dsm
