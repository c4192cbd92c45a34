// SPDX-License-Identifier: Apache-2.0
// The debugger's part of a virtual CPU (member `debug` of Vcpu).
//
// A vCPU is stopped by parking its thread at a point where its guest registers are known exactly:
//   in guest kernel code   inside the kick handler (or SIGTRAP's), registers in its ucontext
//   in a hypercall         it finishes, then single-steps until RSP is in guest RAM again: as above
//   in guest user code     run_user returns, registers in the guest's pt_regs
#pragma once

#include <ucontext.h>

#include <atomic>
#include <cstdint>

#include "base/types.h"
#include "dsm/shm/debug_message.h"

namespace pando::vmm {

struct VcpuDebug {
  // 1: park.  Written by the debugger's thread, and by the vCPU's own when it hits something; futex.
  std::atomic<uint32_t> want{0};
  // Published by the parked thread (release) after the fields below are filled in; partner: loads in Debugger.
  std::atomic<uint32_t> parked{0};
  // How often the thread has gone on; futex of the debugger's thread, which touches the fields only while it is parked.
  std::atomic<uint32_t> departures{0};
  // What the parked thread does first when it goes on: execute one instruction.
  std::atomic<uint32_t> step_next{0};
  // DebugStop that this vCPU has hit and the debugger's thread has not told yet; 0 = none.
  std::atomic<int32_t> hit{0};

  // The vCPU's thread and its handlers alone.
  volatile bool in_hypercall = false;  // host code between entry and exit of a hypercall runs
  volatile bool stepping = false;      // the next debug trap ends a step
  volatile bool flag_ours = false;     // TF of the thread was set by us
  bool pushes_flags = false;           // the instruction being stepped stores EFLAGS

  // Valid while parked.
  dsm::DebugWhere where = dsm::DebugWhere::Running;
  ucontext_t* context = nullptr;  // Kernel
  uint64_t user_regs = 0;         // User: addresses in the direct map
  uint64_t user_fpu = 0;
  uint64_t fs_base = 0, gs_base = 0;  // User: read and written back
  MmId mm{};

  // Kept cheap: asked at the end of each hypercall and in the idle loop.
  bool attention() const { return want.load() != 0 || stepping; }
};

}  // namespace pando::vmm
