// SPDX-License-Identifier: Apache-2.0
/* A tracer gives its child impossible registers: Linux refuses, or the child dies, or it goes on.
 */
#include <elf.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

#include "hostile.h"

static void attack(uint64_t seed) {
  uint64_t state = seed * 99999;
  struct user_regs_struct regs;
  static unsigned char xsave[16384];
  struct iovec area = {xsave, sizeof xsave};
  const pid_t child = fork();
  if (child == 0) {
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    for (int i = 0; i < 100; i++) raise(SIGSTOP);
    _exit(0);
  }
  int status;
  for (int i = 0; i < 6; i++) {
    if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) _exit(0);
    if (ptrace(PTRACE_GETREGS, child, 0, &regs) == 0) {
      uint64_t* const words = (uint64_t*)&regs;
      words[next_random(&state) % (sizeof regs / 8)] = next_random(&state)
                                                       << (next_random(&state) % 30);
      ptrace(PTRACE_SETREGS, child, 0, &regs);
    }
    for (int k = 0; k < 30; k++)
      ptrace(PTRACE_POKEUSER, child, next_random(&state) % 1000, next_random(&state) << 8);
    if (ptrace(PTRACE_GETREGSET, child, NT_X86_XSTATE, &area) == 0) {
      for (int k = 0; k < 20; k++)
        xsave[next_random(&state) % area.iov_len] = (unsigned char)next_random(&state);
      ptrace(PTRACE_SETREGSET, child, NT_X86_XSTATE, &area);
    }
    ptrace(i % 2 ? PTRACE_SINGLESTEP : PTRACE_CONT, child, 0, 0);
  }
  kill(child, SIGKILL);
}

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  for (uint64_t seed = 1; seed <= 40; seed++) {
    const int status = gt_attack(attack, seed);
    CHECK(WIFEXITED(status));
    while (waitpid(-1, NULL, WNOHANG) > 0) continue;
  }
  return gt_ok();
}
