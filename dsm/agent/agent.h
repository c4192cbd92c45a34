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
#include "dsm/agent/console_hub.h"
#include "dsm/agent/control_service.h"
#include "dsm/agent/debug_service.h"
#include "dsm/agent/event_log.h"
#include "dsm/agent/guest_memory.h"
#include "dsm/agent/image_store.h"
#include "dsm/agent/mailbox.h"
#include "dsm/agent/node_config.h"
#include "dsm/agent/vmm_process.h"

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

class Agent final : private ControlBackend, private DebugBackend, private ClientHandler {
 public:
  explicit Agent(NodeConfig config);
  ~Agent() override;

  // Serves until the node has ended.  Returns an AgentExit.  Main thread.
  int run();

 private:
  using Clock = std::chrono::steady_clock;
  struct VmmReady {};
  struct End {
    v1::ExitStatus status;
  };
  using MailboxEvent = std::variant<ClusterPlan, VmmReady, End>;

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

  // ClientHandler, on the "requests" thread.
  void on_fetch(PageId page, Access access, VcpuId vcpu) override;
  void on_preloaded(PageId first, uint32_t pages) override;
  void on_fabric_out(FabricKind kind, NodeId to, std::span<const uint8_t> payload) override;
  void on_client_broken(const std::string& why) override;

  // Main thread.
  void listen();
  void wait_and_handle();
  void handle(ClusterPlan& plan);
  void handle(VmmReady&);
  void handle(End& end) { begin_end(end.status); }
  void bring_up(ClusterPlan plan);
  void make_memory();
  void start_vmm();
  void begin_end(const v1::ExitStatus& status);
  void finish();
  bool end_now();
  void on_vmm_exit();
  void set_deadline(std::chrono::milliseconds limit, const std::string& what, v1::ExitReason reason);

  void request_end(v1::ExitReason reason, uint32_t code, const std::string& message);
  void on_power(std::span<const uint8_t> payload);

  const NodeConfig config_;
  EventLog events_;
  ImageStore images_;
  ConsoleHub console_;
  ControlService control_service_;
  DebugService debug_service_;
  Mailbox<MailboxEvent> mailbox_{1024};
  std::unique_ptr<grpc::Server> server_;
  UniqueFd signals_;
  std::atomic<bool> planned_{false};
  std::atomic<bool> vmm_gone_{false};

  // Made by bring_up() on the main thread; other threads reach it through machine_view_ (release / acquire).
  struct Machine;
  std::unique_ptr<Machine> machine_;
  std::atomic<Machine*> machine_view_{nullptr};

  // Main thread only.
  struct Deadline {
    Clock::time_point at;
    std::string what;
    v1::ExitReason reason;
  };
  std::optional<Deadline> deadline_;
  std::optional<v1::ExitStatus> exit_;
  bool stdin_open_ = true;
};

}  // namespace pando::dsm
