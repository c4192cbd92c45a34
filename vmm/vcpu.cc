// SPDX-License-Identifier: Apache-2.0
#include "vmm/vcpu.h"

#include <asm/prctl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/futex.h"
#include "vmm/hypercalls.h"
#include "vmm/signals.h"

namespace pando::vmm {

namespace {

constexpr size_t kSignalStackBytes = 256 * 1024;
thread_local Vcpu* current_vcpu = nullptr;

}  // namespace

// void pando_enter_guest(pando_vcpu_block* block, u64 entry, u64 argument): the rest of the calling thread's stack
// becomes the hypercall stack.
asm(R"(
.text
.globl pando_enter_guest
.type pando_enter_guest, @function
pando_enter_guest:
	endbr64
	pushq	%rbp
	andq	$-16, %rsp
	movq	%rsp, 16(%rdi)
	movq	%rsi, %rax
	movq	%rdx, %rdi
	xorl	%edx, %edx
	xorl	%esi, %esi
	xorl	%ecx, %ecx
	xorl	%r8d, %r8d
	xorl	%r9d, %r9d
	xorl	%r10d, %r10d
	xorl	%r11d, %r11d
	jmp	*%rax
.size pando_enter_guest, .-pando_enter_guest
)");
extern "C" void pando_enter_guest(pando_vcpu_block* block, uint64_t entry, uint64_t argument);

Vcpu* this_vcpu() { return current_vcpu; }

void adopt_thread(Vcpu& vcpu) {
  current_vcpu = &vcpu;
  vcpu.signal_stack = Mapping::anonymous(kSignalStackBytes);
  stack_t stack{};
  stack.ss_sp = vcpu.signal_stack.data();
  stack.ss_size = vcpu.signal_stack.size();
  check_errno(sigaltstack(&stack, nullptr), "sigaltstack");

  const pid_t tid = static_cast<pid_t>(syscall(SYS_gettid));
  sigevent event{};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = kTimerSignal;
  event._sigev_un._tid = tid;
  check_errno(timer_create(CLOCK_MONOTONIC, &event, &vcpu.timer), "timer_create");

  vcpu.block.irq_on = 0;
  vcpu.block.cpu = vcpu.id.value();
  vcpu.block.self = reinterpret_cast<uint64_t>(&vcpu);
  vcpu.block.hypercall = reinterpret_cast<uint64_t>(&pando_hypercall);
  check_errno(syscall(SYS_arch_prctl, ARCH_SET_GS, &vcpu.block), "arch_prctl(ARCH_SET_GS)");
  vcpu.tid.store(tid);  // partner: the load in kick()
}

void enter_guest(Vcpu& vcpu) {
  // Asked to stop before it ran: the handler runs as soon as the signal is let through.
  if (vcpu.debug.attention()) syscall(SYS_tgkill, getpid(), vcpu.tid.load(), kKickSignal);
  unblock_vcpu_signals();
  pando_enter_guest(&vcpu.block, vcpu.entry, vcpu.argument);
  __builtin_unreachable();
}

void Vcpu::raise(unsigned vector) {
  pending().fetch_or(uint64_t{1} << vector);  // before the loads in kick()
  kick();
}

bool Vcpu::wake_up() {
  if (!idle.load()) return false;
  wake.store(1);
  futex_wake(wake, 1);
  return true;
}

void Vcpu::kick_lock_waiter() {
  lock_kicked.store(true);  // before the load in wake_up()
  (void)wake_up();
}

void Vcpu::kick() {
  if (this == current_vcpu) return;  // seen when the guest enables interrupts or the hypercall returns
  if (wake_up()) return;
  if (const pid_t target = tid.load()) syscall(SYS_tgkill, getpid(), target, kKickSignal);
}

}  // namespace pando::vmm
