// SPDX-License-Identifier: Apache-2.0
// The debugger on vCPU threads: parking, breakpoints and single steps.
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/futex.h"
#include "vmm/debug/debugger.h"
#include "vmm/debug/register_file.h"
#include "vmm/guest_memory.h"
#include "vmm/signals.h"
#include "vmm/vcpu.h"

namespace pando::vmm {

namespace {

using dsm::DebugStop;
using dsm::DebugWhere;

constexpr auto kParkCheck = std::chrono::seconds(10);  // bounds a sleep; nothing depends on it
constexpr greg_t kTrapFlag = 0x100;
constexpr greg_t kDebugTrap = 1, kBreakpointTrap = 3;
constexpr uint64_t kUserTrapFlag = 0x100;
constexpr uint8_t kPushfOpcode = 0x9c;

uint64_t rsp_of(const ucontext_t* context) { return static_cast<uint64_t>(context->uc_mcontext.gregs[REG_RSP]); }
uint64_t rip_of(const ucontext_t* context) { return static_cast<uint64_t>(context->uc_mcontext.gregs[REG_RIP]); }

void set_flag(VcpuDebug& debug, ucontext_t* context) {
  context->uc_mcontext.gregs[REG_EFL] |= kTrapFlag;
  debug.flag_ours = true;
}

void clear_flag(VcpuDebug& debug, ucontext_t* context) {
  context->uc_mcontext.gregs[REG_EFL] &= ~kTrapFlag;
  debug.flag_ours = false;
}

// In guest code: on its stack, or where it begins, before it has one.
bool in_guest(const GuestMemory& memory, const Vcpu& vcpu, const ucontext_t* context) {
  return memory.contains_virtual(rsp_of(context)) || rip_of(context) == vcpu.entry;
}

bool in_translation(const Vcpu& vcpu) { return vcpu.block.translations % 2 != 0; }

}  // namespace

void arm_trap_flag(VcpuDebug& debug) {
  debug.flag_ours = true;
  asm volatile(
      "leaq -128(%%rsp), %%rsp\n\t"  // the compiler may keep values below RSP
      "pushfq\n\t"
      "orq $0x100, (%%rsp)\n\t"
      "popfq\n\t"
      "leaq 128(%%rsp), %%rsp" ::
          : "memory", "cc");
}

bool Debugger::may_interrupt(const Vcpu& vcpu) { return !vcpu.debug.stepping; }

// The vCPU's thread sleeps here; what it has of the guest is in `where` and the fields beside it.
void Debugger::park(Vcpu& vcpu, DebugWhere where) {
  VcpuDebug& d = vcpu.debug;
  d.where = where;
  d.parked.store(1, std::memory_order_release);
  ring();
  while (d.want.load()) futex_wait(d.want, 1, kParkCheck);
  d.where = DebugWhere::Running;
  d.parked.store(0, std::memory_order_release);
  d.departures.fetch_add(1);
  futex_wake(d.departures, 1);
}

void Debugger::park_in_kernel(Vcpu& vcpu, ucontext_t* context) {
  VcpuDebug& d = vcpu.debug;
  clear_flag(d, context);
  d.context = context;
  park(vcpu, DebugWhere::Kernel);
  if (d.step_next.exchange(0)) {
    d.stepping = true;
    uint8_t opcode = 0;
    d.pushes_flags = memory_.copy_from_guest(&opcode, rip_of(context), 1) && opcode == kPushfOpcode;
    set_flag(d, context);
    return;
  }
  // Interrupts that came meanwhile: the signal waits until this handler returns.
  if (vcpu.block.irq_on && vcpu.pending().load()) syscall(SYS_tgkill, getpid(), vcpu.tid.load(), kKickSignal);
}

void Debugger::hit(Vcpu& vcpu, DebugStop stop) {
  vcpu.debug.want = 1;
  vcpu.debug.hit = static_cast<int32_t>(stop);  // rung for by park()
}

void Debugger::on_attention(Vcpu& vcpu, ucontext_t* context) {
  VcpuDebug& d = vcpu.debug;
  if (!d.want.load() || d.stepping) return;
  if (in_guest(memory_, vcpu, context) && !in_translation(vcpu))
    park_in_kernel(vcpu, context);
  else if (!d.in_hypercall)
    set_flag(d, context);  // between guest and hypercall, or in a copy of user memory, which shoot-downs wait for
}

bool Debugger::on_trap(Vcpu& vcpu, ucontext_t* context) {
  const greg_t trap = context->uc_mcontext.gregs[REG_TRAPNO];
  if (trap == kDebugTrap) return on_step_trap(vcpu, context);
  if (trap != kBreakpointTrap || !memory_.contains_virtual(rsp_of(context))) return false;
  const uint64_t at = rip_of(context) - 1;
  const bool taken_out = !is_breakpoint(at) && is_instruction_gone(at);
  if (!is_breakpoint(at) && !taken_out) return false;
  context->uc_mcontext.gregs[REG_RIP] = static_cast<greg_t>(at);
  if (taken_out) return true;  // between the trap and here: execute what is there now
  vcpu.debug.stepping = false;
  hit(vcpu, DebugStop::Breakpoint);
  park_in_kernel(vcpu, context);
  return true;
}

bool Debugger::on_step_trap(Vcpu& vcpu, ucontext_t* context) {
  VcpuDebug& d = vcpu.debug;
  if (!d.flag_ours) return false;
  if (d.in_hypercall) {  // it is armed again at the hypercall's end
    clear_flag(d, context);
    return true;
  }
  if (!in_guest(memory_, vcpu, context)) return true;  // on the way in or out: one more
  if (d.stepping) {
    d.stepping = false;
    if (d.pushes_flags && memory_.contains_virtual(rsp_of(context), sizeof(uint64_t)))
      *reinterpret_cast<uint64_t*>(rsp_of(context)) &= ~uint64_t{kTrapFlag};
    hit(vcpu, DebugStop::Step);
  }
  if (!d.want.load())
    clear_flag(d, context);  // resumed before it got here
  else if (d.hit.load() != 0 || !in_translation(vcpu))
    park_in_kernel(vcpu, context);
  return true;
}

bool Debugger::is_breakpoint(uint64_t address) const {
  const uint32_t count = breakpoint_count_.load(std::memory_order_acquire);
  for (uint32_t i = 0; i < count; ++i)
    if (breakpoints_[i].load(std::memory_order_relaxed) == address) return true;
  return false;
}

bool Debugger::is_instruction_gone(uint64_t address) const {
  uint8_t opcode = 0;
  return memory_.copy_from_guest(&opcode, address, 1) && opcode != dsm::kBreakpointOpcode;
}

void Debugger::step_user(Vcpu& vcpu, bool on) {
  auto* regs = reinterpret_cast<stub::UserRegs*>(vcpu.debug.user_regs);
  regs->flags = on ? regs->flags | kUserTrapFlag : regs->flags & ~kUserTrapFlag;
  if (on)
    user_steps_.fetch_add(1);
  else if (user_steps_.load() > 0)
    user_steps_.fetch_sub(1);
  vcpu.debug.stepping = false;  // the flag lives in the guest's pt_regs, not in this thread
}

bool Debugger::on_user_exit(Vcpu& vcpu, MmId mm, pando_user& user, long exit) {
  VcpuDebug& d = vcpu.debug;
  d.user_regs = user.regs;
  d.user_fpu = user.fpu;
  auto* regs = reinterpret_cast<stub::UserRegs*>(user.regs);
  const bool breakpoint =
      exit == PANDO_EXIT_TRAP && user.trap == kBreakpointTrap && is_breakpoint(regs->ip - 1);
  const bool stepped = user_steps_.load() > 0 && (regs->flags & kUserTrapFlag) &&
                       ((exit == PANDO_EXIT_TRAP && user.trap == kDebugTrap) || exit == PANDO_EXIT_SYSCALL);
  if (breakpoint) regs->ip -= 1;
  if (stepped) step_user(vcpu, false);
  if (breakpoint || stepped)
    hit(vcpu, breakpoint ? DebugStop::Breakpoint : DebugStop::Step);
  else if (exit != PANDO_EXIT_INTERRUPT || !d.want.load())
    return false;
  d.stepping = false;
  d.mm = mm;
  d.fs_base = user.fs_base;
  d.gs_base = user.gs_base;
  park(vcpu, DebugWhere::User);
  user.fs_base = d.fs_base;
  user.gs_base = d.gs_base;
  const bool step = d.step_next.exchange(0) != 0;
  if (step) step_user(vcpu, true);
  if (exit == PANDO_EXIT_SYSCALL) return false;  // the guest has to serve the call first
  return exit != PANDO_EXIT_INTERRUPT || step;
}

}  // namespace pando::vmm
