// SPDX-License-Identifier: Apache-2.0
/* PTRACE_SYSCALL stops at entry and exit; the tracer sees and changes numbers, arguments and
 * results. */
#include <sys/ptrace.h>
#include <sys/user.h>

#include "guest_test.h"

static void traced(void) {
  CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
  raise(SIGSTOP);
  CHECK_EQ(syscall(SYS_getppid), 4242); /* result changed */
  CHECK_EQ(syscall(SYS_dup, 1000), -1); /* argument changed to a bad one that is */
  CHECK(errno == EBADF);
  CHECK_EQ(syscall(SYS_getuid, 7), getpid());          /* number changed */
  CHECK_EQ(syscall(SYS_kill, getppid(), SIGKILL), -1); /* skipped */
  CHECK_EQ(errno, ENOSYS);
  _exit(17);
}

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  const pid_t child = gt_fork();
  if (child == 0) traced();
  CHECK(WIFSTOPPED(gt_wait(child)));
  CHECK(ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) == 0);
  bool entry = true;
  unsigned long number = 0, stops = 0;
  for (;;) {
    CHECK(ptrace(PTRACE_SYSCALL, child, 0, 0) == 0);
    const int status = gt_wait(child);
    if (WIFEXITED(status)) {
      CHECK_EQ(WEXITSTATUS(status), 17);
      break;
    }
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == (SIGTRAP | 0x80));
    struct user_regs_struct regs;
    CHECK(ptrace(PTRACE_GETREGS, child, 0, &regs) == 0);
    if (entry) number = regs.orig_rax;
    if (entry) CHECK_EQ((long)regs.rax, -ENOSYS);
    if (!entry && number == SYS_getppid && stops < 4) regs.rax = 4242;
    if (entry && number == SYS_getuid && regs.rdi == 7) regs.orig_rax = SYS_getpid;
    if (entry && number == SYS_kill) regs.orig_rax = (unsigned long)-1;
    CHECK(ptrace(PTRACE_SETREGS, child, 0, &regs) == 0);
    entry = !entry;
    stops++;
  }
  CHECK(stops >= 11 && stops % 2 == 1);
  return gt_ok();
}
