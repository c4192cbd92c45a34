// SPDX-License-Identifier: Apache-2.0
/* PTRACE_SINGLESTEP visits every instruction once, also system calls. */
#include <sys/ptrace.h>
#include <sys/user.h>

#include "guest_test.h"

/* 4 + 1 + 100 * 2 + 2 instructions from begin to end. */
extern char step_begin[], step_end[];
__asm__(
    ".text\nstep_code:\n"
    "int3\n"
    "step_begin:\n"
    "mov $39, %eax\n nop\n nop\n syscall\n"
    "mov $100, %ecx\n"
    "1: dec %ecx\n jnz 1b\n"
    "pushfq\n pop %rax\n"
    "step_end:\n int3\n ud2\n");
void step_code(void);

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  const pid_t child = gt_fork();
  if (child == 0) {
    CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
    step_code();
  }
  int status = gt_wait(child), steps = 0;
  struct user_regs_struct regs;
  CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
  CHECK(ptrace(PTRACE_GETREGS, child, 0, &regs) == 0);
  CHECK_EQ(regs.rip, (uintptr_t)step_begin);
  while (regs.rip != (uintptr_t)step_end) {
    CHECK(ptrace(PTRACE_SINGLESTEP, child, 0, 0) == 0);
    status = gt_wait(child);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
    CHECK(ptrace(PTRACE_GETREGS, child, 0, &regs) == 0);
    CHECK(++steps < 1000);
  }
  CHECK_EQ(steps, 4 + 1 + 200 + 2);
  CHECK(ptrace(PTRACE_KILL, child, 0, 0) == 0);
  gt_wait_signal(child, SIGKILL);
  return gt_ok();
}
