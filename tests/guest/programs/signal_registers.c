// SPDX-License-Identifier: Apache-2.0
/* All general registers, flags and the red zone survive asynchronous signals; the handler starts
 * with DF clear. */
#include <sys/time.h>

#include "guest_test.h"

static volatile int count;

static void handler(int signal_number, siginfo_t* info, void* context) {
  uint64_t flags;
  __asm__ volatile("pushfq\n\tpopq %0" : "=r"(flags));
  CHECK((flags & 0x400) == 0);
  count++;
}

/* Fills every register and the red zone, sets DF and CF, spins until *word >= limit; returns 0 when
 * all is kept. */
uint64_t spin_with_registers(volatile int* word, int limit);
__asm__(
    ".text\n.type spin_with_registers,@function\nspin_with_registers:\n"
    "push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
    "mov $0x1111,%rax; mov $0x2222,%rbx; mov $0x3333,%rcx; mov $0x4444,%rdx; mov $0x5555,%rbp\n"
    "mov $0x8888,%r8; mov $0x9999,%r9; mov $0xaaaa,%r10; mov $0xbbbb,%r11; mov $0xcccc,%r12\n"
    "mov $0xdddd,%r13; mov $0xeeee,%r14; mov $0xffff,%r15\n"
    "movq $0x7777,-8(%rsp); movq $0x6666,-128(%rsp)\n"
    "std\n"
    "1: pause; cmp %esi,(%rdi); jl 1b\n"
    "pushfq\n" /* destroys -8(%rsp), which was checked by nobody: kept apart at -128 */
    "pop %rsi; cld\n"
    "and $0x400,%esi; xor $0x400,%esi\n"
    "sub $0x1111,%rax; or %rax,%rsi; sub $0x2222,%rbx; or %rbx,%rsi; sub $0x3333,%rcx; or "
    "%rcx,%rsi\n"
    "sub $0x4444,%rdx; or %rdx,%rsi; sub $0x5555,%rbp; or %rbp,%rsi; sub $0x8888,%r8; or %r8,%rsi\n"
    "sub $0x9999,%r9; or %r9,%rsi; sub $0xaaaa,%r10; or %r10,%rsi; sub $0xbbbb,%r11; or %r11,%rsi\n"
    "sub $0xcccc,%r12; or %r12,%rsi; sub $0xdddd,%r13; or %r13,%rsi; sub $0xeeee,%r14; or "
    "%r14,%rsi\n"
    "sub $0xffff,%r15; or %r15,%rsi\n"
    "mov -128(%rsp),%rax; sub $0x6666,%rax; or %rsi,%rax\n"
    "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
    "ret\n.size spin_with_registers,.-spin_with_registers\n");

int main(int argc, char** argv) {
  const struct itimerval tick = {{0, 1000}, {0, 1000}}, off = {{0, 0}, {0, 0}};
  gt_begin(argc, argv);
  gt_on_signal(SIGALRM, handler, SA_RESTART);
  CHECK(setitimer(ITIMER_REAL, &tick, NULL) == 0);
  for (int limit = 5; limit <= 100; limit += 5) CHECK_EQ(spin_with_registers(&count, limit), 0);
  CHECK(setitimer(ITIMER_REAL, &off, NULL) == 0);
  return gt_ok();
}
