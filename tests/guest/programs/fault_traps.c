// SPDX-License-Identifier: Apache-2.0
/* Exceptions of the CPU become the right signals: division, undefined opcode, breakpoint,
 * privileged, SSE. */
#include <setjmp.h>
#include <ucontext.h>

#include "guest_test.h"

static sigjmp_buf back;
static siginfo_t seen;
static long long trap, ip;

static void handler(int signal_number, siginfo_t* info, void* context) {
  const ucontext_t* const uc = context;
  seen = *info;
  trap = uc->uc_mcontext.gregs[REG_TRAPNO];
  ip = uc->uc_mcontext.gregs[REG_RIP];
  siglongjmp(back, 1);
}

static void expect(int signal_number, int code, int trap_number, bool address_is_ip) {
  CHECK_EQ(seen.si_signo, signal_number);
  CHECK_EQ(seen.si_code, code);
  CHECK_EQ(trap, trap_number);
  if (address_is_ip) CHECK_EQ((uintptr_t)seen.si_addr, ip);
}
#define TRAP(...)                                                 \
  if (sigsetjmp(back, 1) == 0) {                                  \
    __asm__ volatile(__VA_ARGS__);                                \
    gt_fail(__FILE__, __LINE__, "%s did not trap", #__VA_ARGS__); \
  }

int main(int argc, char** argv) {
  static const unsigned unmasked = 0x1f80 & ~0x200u;
  gt_begin(argc, argv);
  const int signals[] = {SIGFPE, SIGILL, SIGTRAP, SIGSEGV};
  for (int i = 0; i < 4; i++) gt_on_signal(signals[i], handler, 0);
  TRAP("xorl %%ecx, %%ecx\n\tmovl $1, %%eax\n\tcltd\n\tidivl %%ecx" ::: "rax", "rcx", "rdx");
  expect(SIGFPE, FPE_INTDIV, 0, true);
  TRAP("ud2");
  expect(SIGILL, ILL_ILLOPN, 6, true);
  TRAP("int3");
  expect(SIGTRAP, SI_KERNEL, 3, false);
  TRAP("hlt");
  expect(SIGSEGV, SI_KERNEL, 13, false);
  TRAP("cli");
  expect(SIGSEGV, SI_KERNEL, 13, false);
  TRAP("outb %%al, $0x80" ::: "rax");
  expect(SIGSEGV, SI_KERNEL, 13, false);
  TRAP("movq %%cr3, %%rax" ::: "rax");
  expect(SIGSEGV, SI_KERNEL, 13, false);
  TRAP(
      "ldmxcsr %0\n\txorps %%xmm0, %%xmm0\n\tmovl $1, %%eax\n\tcvtsi2ss %%eax, %%xmm1\n\t"
      "divss %%xmm0, %%xmm1" ::"m"(unmasked)
      : "rax", "xmm0", "xmm1");
  expect(SIGFPE, FPE_FLTDIV, 19, true);
  TRAP("pushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\tnop\n\tnop" ::: "memory");
  expect(SIGTRAP, TRAP_TRACE, 1, false);
  return gt_ok();
}
