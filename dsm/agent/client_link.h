// SPDX-License-Identifier: Apache-2.0
// The agent's end of the rings it shares with its client (the VMM).
//
// Thread "requests" takes what the client posts and calls the handler; thread "fabric-in" only wakes when the client is
// slower than its messages come.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/log.h"
#include "dsm/client/node_client.h"
#include "dsm/shm/control_memory.h"

namespace pando::dsm {

// Called on the "requests" thread.  Everything is checked for range already.
class ClientHandler {
 public:
  virtual ~ClientHandler() = default;
  struct Fetch {
    PageId page;
    Access access;
    uint32_t waited_ns;  // since the client posted it
  };
  virtual void on_fetches(std::span<const Fetch> fetches) = 0;  // what was found together, in order
  virtual void on_ahead(PageId page) = 0;
  virtual void on_preloaded(PageId first, uint32_t pages) = 0;
  virtual void on_fabric_out(FabricKind kind, NodeId to, std::span<const uint8_t> payload) = 0;
  // The rings are unusable: the client is broken.
  virtual void on_client_broken(const std::string& why) = 0;
  // A call of this host failed (out of memory, for one): the node cannot go on.
  virtual void on_host_failure(const std::string& why) = 0;
};

struct ClientLinkOptions {
  std::chrono::nanoseconds spin{0};  // looks for requests this long before it sleeps
  bool realtime = false;             // see responsive.h; a real-time thread never spins
  bool batching = true;              // requests of many waiting threads may leave together
};

class ClientLink {
 public:
  ClientLink(const ControlMemory& control, ClientHandler& handler, const ClientLinkOptions& options);
  ~ClientLink() { stop(); }

  // Hands everything posted so far to the handler, then ends the threads.
  void stop();

  // To the client; any thread, never blocks.  False: the client does not read (its backlog is full).
  bool deliver(FabricKind kind, NodeId from, std::span<const uint8_t> payload);

  uint64_t bad_requests() const { return bad_requests_; }

 private:
  static constexpr size_t kBacklogMax = 16 << 20;

  void run_requests();
  bool drain();
  void gather();
  RecordRing::Pop take_requests();
  void hand_fetches_over();
  void handle_request(std::span<const uint8_t> record);
  void handle_fabric(std::span<const uint8_t> record);
  void run_fabric_in();

  const ControlMemory& control_;
  ClientHandler& handler_;
  const ClientLinkOptions options_;
  RecordRing requests_, fabric_out_, fabric_in_;
  std::vector<ClientHandler::Fetch> fetches_;  // "requests" thread
  std::atomic<bool> stopping_{false};
  std::atomic<uint64_t> bad_requests_{0};
  LogLimiter bad_log_{5};

  std::mutex in_mutex_;
  std::condition_variable in_wake_;
  std::deque<std::vector<uint8_t>> backlog_;  // whole records
  size_t backlog_bytes_ = 0;

  std::thread requests_thread_, fabric_in_thread_;
};

}  // namespace pando::dsm
