// SPDX-License-Identifier: Apache-2.0
// Signals of vCPU threads: how interrupts and exceptions get into the guest, and how page faults of the DSM are served.
//
// "In the guest" means that RSP lies in guest RAM (docs/ARCHITECTURE.md, "Interrupts"): this covers the hypercall
// trampoline's window and every piece of guest code.  All handlers run on the vCPU's private signal stack.
//   kick, timer   set or look at pending bits; push an interrupt frame if the guest runs with interrupts on
//   SIGBUS        userfaultfd: fetch or map the page, return to the instruction
//   SIGSEGV, SIGILL, SIGFPE, SIGTRAP  in the guest: push a trap frame; in the VMM: report and abort
#pragma once

#include <signal.h>

#include <cstdint>

namespace pando::vmm {

inline constexpr int kKickSignal = SIGUSR1;
inline constexpr int kTimerSignal = SIGUSR2;

// Guest entry points for interrupts and traps (PANDO_HC_SET_ENTRY); the same on all nodes.
struct GuestEntries {
  uint64_t irq = 0;
  uint64_t trap = 0;
};

// Installs the handlers for the process and blocks kick and timer signals for the calling thread and its children.
void install_signal_handlers();
// Lets kick and timer signals through: for vCPU threads, once %gs and the signal stack are set.
void unblock_vcpu_signals();

}  // namespace pando::vmm
