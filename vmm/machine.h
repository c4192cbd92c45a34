// SPDX-License-Identifier: Apache-2.0
// The machine of one node: guest memory, virtual CPUs, user mode, console, fabric.  Built top to bottom by main();
// lives until the process exits.
#pragma once

#include <guest_abi/boot.h>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "dsm/client/node_client.h"
#include "vmm/console.h"
#include "vmm/debug/debugger.h"
#include "vmm/guest_memory.h"
#include "vmm/options.h"
#include "vmm/shootdown.h"
#include "vmm/signals.h"
#include "vmm/stub/address_spaces.h"
#include "vmm/vcpu.h"

namespace pando::vmm {

// Exit codes of pando-vmm (docs/ARCHITECTURE.md, "Exit codes").
inline constexpr int kExitOrderly = 0;
inline constexpr int kExitUserError = 2;
inline constexpr int kExitHostFailure = 3;

class Machine {
 public:
  // Throws UserError or HostError.  Loads the image; nothing of the guest runs before run().
  Machine(const Options& options, std::unique_ptr<dsm::NodeClient> client);
  ~Machine();

  // Announces readiness, serves fabric messages and runs the guest; returns on the agent's Shutdown.
  void run();

  dsm::NodeClient& client() { return *client_; }
  GuestMemory& memory() { return memory_; }
  stub::AddressSpaces& address_spaces() { return spaces_; }
  Shootdown& shootdown() { return shootdown_; }
  Console& console() { return console_; }
  Debugger& debugger() { return debugger_; }
  unsigned vcpu_count() const { return static_cast<unsigned>(vcpus_.size()); }
  uint32_t fpu_bytes() const { return spaces_.fpu_bytes(); }
  const GuestEntries& entries() const { return entries_; }

  int64_t cluster_clock_ns() const;

  // Hypercalls that concern the machine as a whole; called by vCPU threads.
  long set_entries(GuestEntries entries);
  long start_vcpu(VcpuId id, uint64_t entry, uint64_t argument);
  // `wanted`: guest-physical addresses that the vCPU will write soon, 0 = none; fetched ahead by its node.
  using Wanted = std::array<uint64_t, 3>;
  void send_ipi(VcpuId id, unsigned vector, const Wanted& wanted);
  long idle(Vcpu& vcpu);
  enum class LockWait : uint8_t { KickOnly, Interruptible };
  long lock_wait(Vcpu& vcpu, LockWait kind);
  void kick_lock_waiter(VcpuId id);
  // Tells the agent; the second form also waits for the end of the process.
  void announce_power(uint32_t kind, uint32_t code);
  [[noreturn]] void power(uint32_t kind, uint32_t code);

  // The guest cannot go on: its stack is gone, or the host failed under it.  Both end the cluster.
  [[noreturn]] void on_lost_stack(Vcpu& vcpu, uint64_t rip, uint64_t address);
  [[noreturn]] void fail(const std::string& what);

 private:
  bool is_local(VcpuId id) const;
  long start_local(VcpuId id, uint64_t entry, uint64_t argument);
  void on_vcpu_start(const dsm::FabricMessage& message);
  void on_ipi(const dsm::FabricMessage& message);
  void on_lock_kick(const dsm::FabricMessage& message);
  // Sleeps until `done`, which whoever changes it follows up by Vcpu::wake_up(), or a debugger wants the vCPU.
  template <class Done>
  void sleep_until(Vcpu& vcpu, Done done);
  void on_console_input(const dsm::FabricMessage& message);
  // False on Shutdown.
  bool on_message(dsm::FabricMessage message);
  void load(const Options& options);

  std::unique_ptr<dsm::NodeClient> client_;
  stub::AddressSpaces spaces_;  // forks its nursery: before guest RAM is mapped, before there are threads
  GuestMemory memory_;
  Console console_;
  std::vector<std::unique_ptr<Vcpu>> vcpus_;  // by id; nullptr for those of other nodes
  Shootdown shootdown_;
  Debugger debugger_;
  GuestEntries entries_{};
  uint64_t kernel_entry_ = 0;
};

}  // namespace pando::vmm
