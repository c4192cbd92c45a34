// SPDX-License-Identifier: Apache-2.0
#include "vmm/signals.h"

#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "base/error.h"
#include "vmm/machine.h"
#include "vmm/vcpu.h"

namespace pando::vmm {

namespace {

constexpr uint64_t kEflagsDirection = 0x400;
constexpr uint64_t kEflagsInterrupt = 0x200;
constexpr uint64_t kEflagsTrap = 0x100;
constexpr uint64_t kPageFaultTrap = 14;
constexpr uint64_t kErrorWrite = 2;

// struct pt_regs of x86-64, as the guest's entry code expects it.
struct TrapFrame {
  uint64_t r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};
static_assert(sizeof(TrapFrame) == 21 * 8);

struct EntryArguments {
  uint64_t trap, error, address;
};

uint64_t reg(const ucontext_t* context, int index) {
  return static_cast<uint64_t>(context->uc_mcontext.gregs[index]);
}
void set_reg(ucontext_t* context, int index, uint64_t value) {
  context->uc_mcontext.gregs[index] = static_cast<greg_t>(value);
}

bool in_guest(const Vcpu* vcpu, const ucontext_t* context) {
  return vcpu && vcpu->machine->memory().contains_virtual(reg(context, REG_RSP));
}

TrapFrame frame_of(const ucontext_t* c, bool irq_on) {
  return TrapFrame{
      .r15 = reg(c, REG_R15), .r14 = reg(c, REG_R14), .r13 = reg(c, REG_R13), .r12 = reg(c, REG_R12),
      .bp = reg(c, REG_RBP),  .bx = reg(c, REG_RBX),  .r11 = reg(c, REG_R11), .r10 = reg(c, REG_R10),
      .r9 = reg(c, REG_R9),   .r8 = reg(c, REG_R8),   .ax = reg(c, REG_RAX),  .cx = reg(c, REG_RCX),
      .dx = reg(c, REG_RDX),  .si = reg(c, REG_RSI),  .di = reg(c, REG_RDI),  .orig_ax = ~uint64_t{0},
      .ip = reg(c, REG_RIP),  .cs = PANDO_CS | PANDO_FRAME_KERNEL,
      .flags = (reg(c, REG_EFL) & ~kEflagsInterrupt) | (irq_on ? kEflagsInterrupt : 0),
      .sp = reg(c, REG_RSP),  .ss = PANDO_SS};
}

// Makes the interrupted guest code continue at `entry` with a frame on its stack.  The store may fault in a page.
void push_frame(Vcpu* vcpu, ucontext_t* context, uint64_t entry, const EntryArguments& arguments) {
  const uint64_t sp = (reg(context, REG_RSP) - sizeof(TrapFrame)) & ~uint64_t{15};
  const TrapFrame frame = frame_of(context, vcpu->block.irq_on != 0);
  vcpu->pushing_frame = true;
  std::memcpy(reinterpret_cast<void*>(sp), &frame, sizeof frame);
  vcpu->pushing_frame = false;
  set_reg(context, REG_RSP, sp);
  set_reg(context, REG_RDI, sp);
  set_reg(context, REG_RSI, arguments.trap);
  set_reg(context, REG_RDX, arguments.error);
  set_reg(context, REG_RCX, arguments.address);
  set_reg(context, REG_RIP, entry);
  set_reg(context, REG_EFL, reg(context, REG_EFL) & ~(kEflagsDirection | kEflagsTrap));
  vcpu->block.irq_on = 0;
}

void on_attention(int signal, siginfo_t*, void* opaque) {
  auto* context = static_cast<ucontext_t*>(opaque);
  Vcpu* vcpu = this_vcpu();
  if (!vcpu) return;
  const int saved_errno = errno;
  if (signal == kTimerSignal) vcpu->pending().fetch_or(uint64_t{1} << PANDO_VEC_TIMER);
  vcpu->wake.store(1, std::memory_order_relaxed);
  vcpu->machine->debugger().on_attention(*vcpu, context);
  if (in_guest(vcpu, context)) {
    const uint64_t entry = vcpu->machine->entries().irq;
    if (Debugger::may_interrupt(*vcpu) && vcpu->block.irq_on && vcpu->pending().load() && entry) push_frame(vcpu, context, entry, {});
  } else {
    stub::AddressSpaces::kick(vcpu->run);
  }
  errno = saved_errno;
}

[[noreturn]] void report_host_fault(int signal, const siginfo_t* info, const ucontext_t* context) {
  char text[512];
  const Vcpu* vcpu = this_vcpu();
  const int n = std::snprintf(
      text, sizeof text,
      "pando-vmm: %s of the VMM itself: signal %d at rip 0x%llx, address %p, rsp 0x%llx, vcpu %d; "
      "this is a bug: please report it with this line\n",
      vcpu && vcpu->pushing_frame ? "guest stack lost, or fault" : "fault", signal,
      static_cast<unsigned long long>(reg(context, REG_RIP)), info->si_addr,
      static_cast<unsigned long long>(reg(context, REG_RSP)), vcpu ? vcpu->id.value() : -1);
  if (n > 0) (void)!write(2, text, static_cast<size_t>(n));
  ::signal(SIGABRT, SIG_DFL);
  abort();
}

// The guest's kernel stack pointer is not usable: nothing can be delivered to it any more.
[[noreturn]] void report_lost_stack(Vcpu* vcpu, const ucontext_t* context, const siginfo_t* info) {
  vcpu->machine->on_lost_stack(*vcpu, reg(context, REG_RIP), reinterpret_cast<uint64_t>(info->si_addr));
}

void on_bus(int signal, siginfo_t* info, void* opaque) {
  auto* context = static_cast<ucontext_t*>(opaque);
  const int saved_errno = errno;
  Vcpu* vcpu = this_vcpu();
  const auto address = reinterpret_cast<uint64_t>(info->si_addr);
  GuestMemory* memory = vcpu ? &vcpu->machine->memory() : Debugger::thread_memory();
  if (memory) {
    dsm::FaultInfo fault;
    fault.address = address;
    fault.rip = reg(context, REG_RIP);
    fault.vcpu = vcpu ? vcpu->id : kDebuggerVcpu;
    fault.access = (reg(context, REG_ERR) & kErrorWrite) ? dsm::Access::Write : dsm::Access::Read;
    if (memory->serve_fault(fault)) {
      errno = saved_errno;
      return;
    }
  }
  report_host_fault(signal, info, context);
}

void on_exception(int signal, siginfo_t* info, void* opaque) {
  auto* context = static_cast<ucontext_t*>(opaque);
  Vcpu* vcpu = this_vcpu();
  if (vcpu && signal == SIGTRAP) {
    const int saved_errno = errno;
    const bool ours = vcpu->machine->debugger().on_trap(*vcpu, context);
    errno = saved_errno;
    if (ours) return;
  }
  if (vcpu && vcpu->pushing_frame) report_lost_stack(vcpu, context, info);
  const uint64_t entry = vcpu ? vcpu->machine->entries().trap : 0;
  if (!in_guest(vcpu, context) || !entry) report_host_fault(signal, info, context);
  const uint64_t trap = reg(context, REG_TRAPNO);
  push_frame(vcpu, context, entry,
             {trap, reg(context, REG_ERR), trap == kPageFaultTrap ? reg(context, REG_CR2) : 0});
}

void install(int signal, void (*handler)(int, siginfo_t*, void*), const sigset_t& mask) {
  struct sigaction action {};
  action.sa_sigaction = handler;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  action.sa_mask = mask;
  check_errno(sigaction(signal, &action, nullptr), "sigaction");
}

}  // namespace

void install_signal_handlers() {
  // Kick and timer wait while any handler runs; faults stay open in all of them, because a handler that pushes a
  // frame may have to fetch the page of the guest's stack.
  sigset_t attention;
  sigemptyset(&attention);
  sigaddset(&attention, kKickSignal);
  sigaddset(&attention, kTimerSignal);
  check_pthread(pthread_sigmask(SIG_BLOCK, &attention, nullptr), "pthread_sigmask");
  install(kKickSignal, on_attention, attention);
  install(kTimerSignal, on_attention, attention);
  install(SIGBUS, on_bus, attention);
  for (int signal : {SIGSEGV, SIGILL, SIGFPE, SIGTRAP}) install(signal, on_exception, attention);
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  // The operator's Ctrl-C is for `pando`, which ends the cluster in order.
  for (int signal : {SIGINT, SIGQUIT, SIGHUP, SIGPIPE})
    check_errno(sigaction(signal, &ignore, nullptr), "sigaction");
}

void unblock_vcpu_signals() {
  sigset_t attention;
  sigemptyset(&attention);
  sigaddset(&attention, kKickSignal);
  sigaddset(&attention, kTimerSignal);
  check_pthread(pthread_sigmask(SIG_UNBLOCK, &attention, nullptr), "pthread_sigmask");
}

}  // namespace pando::vmm
