// SPDX-License-Identifier: Apache-2.0
/* A tracer reads and writes memory (also code, by breakpoint), by words, /proc/PID/mem and
 * process_vm_readv. */
#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

#include "guest_test.h"

static volatile long variable = 1111;

__attribute__((noinline)) static int function(int x) {
  __asm__ volatile("" ::: "memory");
  return x + (int)variable;
}

int main(int argc, char** argv) {
  long word = 0;
  char path[64];
  struct user_regs_struct regs;
  gt_begin(argc, argv);
  const pid_t child = gt_fork();
  if (child == 0) {
    CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
    raise(SIGSTOP);
    _exit(function(1) & 0xff);
  }
  CHECK(WIFSTOPPED(gt_wait(child)));
  CHECK_EQ(ptrace(PTRACE_PEEKDATA, child, &variable, 0), 1111);
  const struct iovec local = {&word, sizeof word}, remote = {(void*)&variable, sizeof word};
  CHECK(process_vm_readv(child, &local, 1, &remote, 1, 0) == sizeof word && word == 1111);
  snprintf(path, sizeof path, "/proc/%d/mem", child);
  const int fd = open(path, O_RDWR);
  word = 40;
  CHECK(fd >= 0 && pwrite(fd, &word, sizeof word, (off_t)(uintptr_t)&variable) == sizeof word);
  const long code = ptrace(PTRACE_PEEKTEXT, child, function, 0);
  CHECK(ptrace(PTRACE_POKETEXT, child, function, (code & ~0xffl) | 0xcc) == 0);
  CHECK(ptrace(PTRACE_CONT, child, 0, 0) == 0);
  const int status = gt_wait(child);
  CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
  CHECK(ptrace(PTRACE_GETREGS, child, 0, &regs) == 0);
  CHECK_EQ(regs.rip, (uintptr_t)function + 1);
  regs.rip--;
  CHECK(ptrace(PTRACE_POKETEXT, child, function, code) == 0);
  CHECK(ptrace(PTRACE_SETREGS, child, 0, &regs) == 0);
  CHECK(ptrace(PTRACE_CONT, child, 0, 0) == 0);
  gt_wait_exit(child, 41);
  CHECK_EQ(variable, 1111);
  CHECK_EQ(function(2), 1113); /* the breakpoint was in the child's copy only */
  return gt_ok();
}
