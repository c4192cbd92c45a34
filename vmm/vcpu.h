// SPDX-License-Identifier: Apache-2.0
// A virtual CPU: its guest-visible block, its thread, its timer and how to get its attention.
//
// The block (guest_abi/vcpu.h) is the first member, and %gs of the vCPU's thread points at it while guest kernel code
// or a hypercall runs.  raise() and kick() may be called from any thread, and from signal handlers of vCPU threads.
#pragma once

#include <guest_abi/vcpu.h>
#include <sys/types.h>
#include <time.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/mapping.h"
#include "base/types.h"
#include "vmm/debug/vcpu_debug.h"
#include "vmm/stub/address_spaces.h"

namespace pando::vmm {

class Machine;

struct alignas(64) Vcpu {
  pando_vcpu_block block{};

  // Host-private from here on.
  Machine* const machine;
  const VcpuId id;
  std::atomic<pid_t> tid{0};
  std::atomic<bool> started{false};
  timer_t timer{};
  Mapping signal_stack;

  // True while the thread sleeps in PANDO_HC_IDLE or PANDO_HC_LOCK_WAIT, or is about to; partner of the load in wake_up().
  std::atomic<bool> idle{false};
  // Futex of that sleep: 1 = look again.
  std::atomic<uint32_t> wake{0};
  // Set by PANDO_HC_LOCK_KICK, cleared by the end of PANDO_HC_LOCK_WAIT.
  std::atomic<bool> lock_kicked{false};
  // Set while a frame is being pushed on the guest stack: a fault then means that the guest lost its stack.
  volatile bool pushing_frame = false;

  uint64_t entry = 0;     // where the thread enters the guest
  uint64_t argument = 0;  // in %rdi

  stub::VcpuRun run;  // user mode
  VcpuDebug debug;

  // `index` counts the vCPUs of this node.
  Vcpu(Machine* owner, VcpuId number, int index)
      : machine(owner), id(number), run(index, number, &block.pending) {}

  std::atomic_ref<pando_u64> pending() { return std::atomic_ref<pando_u64>(block.pending); }

  // Raises an interrupt vector: sets the bit and makes the vCPU notice.
  void raise(unsigned vector);
  // Makes the vCPU's thread look at its pending bits.
  void kick();
  void kick_lock_waiter();

 private:
  // False: it does not sleep.
  bool wake_up();
};

static_assert(offsetof(pando_vcpu_block, irq_on) == PANDO_VB_IRQ_ON);
static_assert(offsetof(pando_vcpu_block, translations) == PANDO_VB_TRANSLATIONS);
static_assert(offsetof(pando_vcpu_block, pending) == PANDO_VB_PENDING);
static_assert(offsetof(pando_vcpu_block, host_sp) == PANDO_VB_HOST_SP);
static_assert(offsetof(pando_vcpu_block, hypercall) == PANDO_VB_HYPERCALL);
static_assert(offsetof(pando_vcpu_block, cpu) == PANDO_VB_CPU);
static_assert(offsetof(pando_vcpu_block, current_task) == PANDO_VB_CURRENT);
static_assert(offsetof(pando_vcpu_block, percpu_offset) == PANDO_VB_PERCPU_OFFSET);
static_assert(offsetof(pando_vcpu_block, self) == PANDO_VB_SELF);
static_assert(sizeof(pando_vcpu_block) == PANDO_VB_SIZE);

// The vCPU that the calling thread runs; nullptr on other threads.
Vcpu* this_vcpu();
// Makes the calling thread the vCPU's: signal stack, timer, %gs, thread id.  Throws HostError.
void adopt_thread(Vcpu& vcpu);
// Enters the guest at vcpu.entry on a fresh host stack; never returns.
[[noreturn]] void enter_guest(Vcpu& vcpu);

}  // namespace pando::vmm
