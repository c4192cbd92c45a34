// SPDX-License-Identifier: Apache-2.0
// The node's part of the debugger: stops and resumes the local vCPUs, reads and writes their registers and guest RAM.
// Says and hears dsm/shm/debug_message.h by fabric messages; docs/design/0005-debugger.md tells the whole.
//
// Thread "debug" serves the messages: it may wait for vCPUs to park and for pages to come.  It exists from the first
// message on.  on_attention(), on_trap() and leave_hypercall() run on vCPU threads, the first two in signal handlers;
// they take no lock.
#pragma once

#include <guest_abi/user.h>
#include <ucontext.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "dsm/client/node_client.h"
#include "dsm/shm/debug_message.h"
#include "vmm/debug/vcpu_debug.h"

namespace pando::vmm {

class GuestMemory;
struct Vcpu;

// FaultInfo.vcpu of pages that the debugger's thread touches.
inline constexpr VcpuId kDebuggerVcpu{0xfffe};

class Debugger {
 public:
  enum class AtStart : uint8_t { Run, Stopped };

  // `vcpus` by id, nullptr for those of other nodes; all outlive this.
  Debugger(dsm::NodeClient& client, GuestMemory& memory, const std::vector<std::unique_ptr<Vcpu>>& vcpus);
  ~Debugger();
  Debugger(const Debugger&) = delete;
  Debugger& operator=(const Debugger&) = delete;

  // Before any vCPU runs: they park at their first instruction until a debugger resumes them.
  void stop_at_start();
  // Fabric thread.
  void on_message(dsm::FabricMessage message);

  // Handlers of vCPU threads.  Attention: parks if asked to.
  void on_attention(Vcpu& vcpu, ucontext_t* context);
  // SIGTRAP; true: it was the debugger's and is dealt with.
  bool on_trap(Vcpu& vcpu, ucontext_t* context);
  // May interrupt frames be pushed now?  Not in the middle of a step.
  static bool may_interrupt(const Vcpu& vcpu);

  // vCPU thread, user code has stopped with `exit`; true: run it again instead of telling the guest.
  bool on_user_exit(Vcpu& vcpu, MmId mm, pando_user& user, long exit);

  // Set on thread "debug": faults of guest RAM there are served like those of vCPUs.  nullptr on other threads.
  static GuestMemory* thread_memory();

 private:
  struct Message {
    dsm::DebugHeader header;
    std::vector<uint8_t> data;
  };

  // Thread "debug".
  void serve();
  bool handle_next();
  void handle(const Message& message);
  void tell_hits();
  void forget_hits();
  int32_t stop_all();
  int32_t resume(std::span<const uint8_t> data);
  void detach();
  void restore_bytes();
  int32_t set_breakpoints(std::span<const uint8_t> data);
  int32_t read_registers(uint16_t vcpu, std::vector<uint8_t>& out);
  int32_t write_registers(uint16_t vcpu, std::span<const uint8_t> data);
  int32_t read_physical(uint64_t address, uint32_t bytes, std::vector<uint8_t>& out);
  int32_t write_physical(uint64_t address, std::span<const uint8_t> data);
  std::vector<uint8_t> describe_vcpus();
  Vcpu* parked_vcpu(uint16_t id);
  void release(Vcpu& vcpu);
  void send(const dsm::DebugHeader& header, std::span<const uint8_t> data);

  // vCPU threads.
  void park(Vcpu& vcpu, dsm::DebugWhere where);
  void park_in_kernel(Vcpu& vcpu, ucontext_t* context);
  void hit(Vcpu& vcpu, dsm::DebugStop stop);
  bool on_step_trap(Vcpu& vcpu, ucontext_t* context);
  bool is_breakpoint(uint64_t address) const;
  bool is_instruction_gone(uint64_t address) const;
  void step_user(Vcpu& vcpu, bool on);

  dsm::NodeClient& client_;
  GuestMemory& memory_;
  const std::vector<std::unique_ptr<Vcpu>>& vcpus_;

  // Addresses for handlers; count and content change while vCPUs look: each value alone is whole.
  std::array<std::atomic<uint64_t>, dsm::kDebugBreakpointsMax> breakpoints_{};
  std::atomic<uint32_t> breakpoint_count_{0};
  std::vector<dsm::DebugBreakpoint> breakpoint_bytes_;  // thread "debug"
  // Steps of user code that the guest may have moved to another vCPU before they trap.
  std::atomic<uint32_t> user_steps_{0};

  // Counts what the thread has to look at: messages, hits, vCPUs that have parked; futex.
  std::atomic<uint32_t> bell_{0};
  void ring();

  std::mutex queue_mutex_;
  std::deque<Message> queue_;
  std::atomic<bool> ending_{false};
  std::thread thread_;  // made by the fabric thread
};

// At the end of a hypercall, on the vCPU's thread: traps as soon as guest code runs again.
void arm_trap_flag(VcpuDebug& debug);

}  // namespace pando::vmm
