// SPDX-License-Identifier: Apache-2.0
// One node of a cluster: from its NodeSpec to its exit code.
//
// The main thread owns the life of the node (phases, VMM process, deadlines); it is told by a mailbox what gRPC threads
// and the "requests" thread see.  Everything that can block on a peer or on the VMM has a deadline that names it.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "dsm/agent/client_link.h"
#include "dsm/agent/coherence.h"
#include "dsm/agent/console_hub.h"
#include "dsm/agent/control_service.h"
#include "dsm/agent/debug_service.h"
#include "dsm/agent/event_log.h"
#include "dsm/agent/guest_memory.h"
#include "dsm/agent/image_store.h"
#include "dsm/agent/mailbox.h"
#include "dsm/agent/metrics_endpoint.h"
#include "dsm/agent/node_config.h"
#include "dsm/agent/observe_service.h"
#include "dsm/agent/trace_ring.h"
#include "dsm/agent/traffic_meter.h"
#include "dsm/agent/vmm_process.h"
#include "dsm/rpc/peer_mesh.h"

namespace pando::dsm {

// Exit codes of `pando-dsm serve`.
enum AgentExit : int {
  kExitOrderly = 0,     // power-off, halt, reboot or shutdown
  kExitInternal = 1,
  kExitUserError = 2,
  kExitNodeLost = 3,
  kExitVmmDied = 4,
  kExitPanic = 5,
  kExitStartFailed = 6,
};

class Agent final : private ControlBackend,
                    private DebugBackend,
                    private ObserveBackend,
                    private ClientHandler,
                    private PeerHandler,
                    private Coherence::Watcher {
 public:
  explicit Agent(NodeConfig config);
  ~Agent() override;

  // Serves until the node has ended.  Returns an AgentExit.  Main thread.
  int run();

 private:
  using Clock = std::chrono::steady_clock;
  struct VmmReady {};
  struct PeersConnected {};
  struct PeerReady {
    NodeId node;
    std::string preload_digest;
  };
  struct GuestStart {
    int64_t time_zero_ns;  // CLOCK_MONOTONIC of node 0
  };
  struct End {
    v1::ExitStatus status;
  };
  using MailboxEvent = std::variant<ClusterPlan, VmmReady, PeersConnected, PeerReady, GuestStart, End>;

  // ControlBackend, on gRPC threads.
  std::string start(const v1::Plan& plan) override;
  void shutdown(const v1::ShutdownRequest& request) override;
  void status(v1::StatusReply& reply) override;
  void faults(const v1::FaultsRequest& request, v1::FaultsReply& reply) override;
  void console_input(uint8_t port, const std::string& bytes, bool end_of_file) override;

  // DebugBackend, on gRPC threads.
  bool debug_to_vmm(std::span<const uint8_t> message) override;
  bool debug_read_page(PageId page, std::span<uint8_t, kPageSize> out) override;
  void debug_page(PageId page, v1::DebugPage& reply) override;
  void debug_node(v1::DebugNode& reply) override;

  // ObserveBackend, on gRPC threads.
  void address_spaces(v1::AddressSpacesReply& reply) override;
  void trace(const v1::TraceRequest& request, v1::TraceReply& reply) override;
  void peek(const v1::PeekRequest& request, v1::PeekReply& reply) override;
  void trace_fabric(v1::TraceKind kind, NodeId peer, FabricKind type, std::span<const uint8_t> payload);

  // ClientHandler, on the "requests" thread.
  void on_fetches(std::span<const Fetch> fetches) override;
  void on_ahead(PageId page) override;
  void on_preloaded(PageId first, uint32_t pages) override;
  void on_fabric_out(FabricKind kind, NodeId to, std::span<const uint8_t> payload) override;
  void on_client_broken(const std::string& why) override;  // Coherence::Watcher too
  void on_host_failure(const std::string& why) override;

  // PeerHandler, on gRPC threads and the mesh's own.
  void on_peer_connected(NodeId peer) override;
  void on_all_connected() override;
  void on_peer_frame(NodeId from, PeerStream stream, v1::PeerFrame& frame) override;
  void on_peer_lost(NodeId peer, const std::string& why) override;
  // Coherence::Watcher.
  void on_peer_broken(NodeId peer, const std::string& why) override;

  // Main thread.
  void listen();
  void wait_and_handle();
  void handle(ClusterPlan& plan);
  void handle(VmmReady&);
  void handle(PeersConnected&);
  void handle(PeerReady& ready);
  void handle(GuestStart& start);
  void handle(End& end) { begin_end(end.status); }
  void bring_up(ClusterPlan plan);
  void make_memory();
  void announce_ready();
  void update_clock();
  bool reads_clock_of_node_0() const;
  void tell_peers_of_end();
  void start_vmm();
  void begin_end(const v1::ExitStatus& status);
  void finish();
  bool told_to_end();
  bool end_now();
  void on_vmm_exit();
  void set_deadline(std::chrono::milliseconds limit, const std::string& what, v1::ExitReason reason);

  void request_end(v1::ExitReason reason, uint32_t code, const std::string& message);
  void on_power(std::span<const uint8_t> payload);
  void on_console_out(std::span<const uint8_t> payload);
  void deliver(FabricKind kind, NodeId from, std::span<const uint8_t> payload);
  void send_console(NodeId to, uint8_t port, std::string_view bytes, bool input);
  std::string name_of_node(NodeId node) const;

  const NodeConfig config_;
  EventLog events_;
  ImageStore images_;
  ConsoleHub console_;
  class PeerService;
  ControlService control_service_;
  DebugService debug_service_;
  ObserveService observe_service_;
  TraceRing trace_;
  TrafficMeter traffic_;
  std::unique_ptr<PeerService> peer_service_;
  Mailbox<MailboxEvent> mailbox_{1024};
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<MetricsEndpoint> metrics_;
  UniqueFd signals_;
  std::atomic<bool> planned_{false};
  std::atomic<bool> vmm_gone_{false};
  std::vector<Coherence::Fetch> fetches_;  // requests thread
  int preloads_left_ = 1024;  // requests thread; 0 from the first fetch or Ready on

  // What exists from the plan to the end.  Made by bring_up() on the main thread; the others reach it through
  // machine_view_ (release / acquire) or by being called by one of its parts.  Members die in the reverse order.
  struct Machine {
    explicit Machine(ClusterPlan p) : plan(std::move(p)) {}
    ClusterPlan plan;
    std::optional<GuestMemory> memory;
    std::optional<ControlMemory> control;
    std::unique_ptr<PeerMesh> mesh;
    std::unique_ptr<Coherence> coherence;
    std::unique_ptr<ClientLink> client;
    std::unique_ptr<VmmProcess> vmm;
    std::atomic<pid_t> vmm_pid{0};
  };
  std::unique_ptr<Machine> machine_;
  std::atomic<Machine*> machine_view_{nullptr};

  struct ConsoleInput {
    uint8_t port;
    std::string bytes;
    bool end_of_file;
  };
  static constexpr size_t kEarlyInputMax = 1 << 20;  // more is dropped
  void publish_machine();
  void forward_input(const ConsoleInput& input);  // input_mutex_ held, machine_view_ set
  std::mutex input_mutex_;                        // keeps input in order; leaf but for the fabric ring
  std::vector<ConsoleInput> early_input_;         // came before the machine
  size_t early_input_bytes_ = 0;

  // Main thread only.
  struct Deadline {
    Clock::time_point at;
    std::string what;
    v1::ExitReason reason;
  };
  std::optional<Deadline> deadline_;
  std::optional<v1::ExitStatus> exit_;
  bool stdin_open_ = true;
  bool connected_ = false, vmm_ready_ = false, announced_ = false, running_ = false;
  std::vector<std::optional<std::string>> ready_;  // node 0: digests by node
  int64_t time_zero_ns_ = 0;
};

}  // namespace pando::dsm
