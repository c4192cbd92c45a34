// SPDX-License-Identifier: Apache-2.0
/* General, x87/SSE and xsave registers of a stopped process: PEEKUSER, POKEUSER, GETREGS,
 * GETFPREGS, GETREGSET. */
#include <elf.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

#include "vector_state.h"

static void traced(void) {
  struct vector_state in, out;
  const enum vector_width width = vector_widest();
  static const int one = 1;
  uint64_t rbx;
  vector_pattern(&in, 50);
  CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
  VECTOR_AROUND(width, &in, &out, &one, "int3\n\t");
  in.zmm[3][0] = in.zmm[3][1] = 0x33;
  CHECK(vector_equal(&in, &out, width));
  __asm__ volatile("movl $5, %%ebx\n\tint3\n\tmovq %%rbx, %0" : "=r"(rbx)::"rbx");
  _exit((int)rbx);
}

int main(int argc, char** argv) {
  struct user_fpregs_struct fpu;
  struct vector_state wanted;
  static char xsave[16384];
  struct iovec area = {xsave, sizeof xsave};
  gt_begin(argc, argv);
  const pid_t child = gt_fork();
  if (child == 0) traced();
  CHECK(WIFSTOPPED(gt_wait(child)));
  vector_pattern(&wanted, 50);
  CHECK(ptrace(PTRACE_GETFPREGS, child, 0, &fpu) == 0);
  for (int i = 0; i < 16; i++) CHECK(memcmp(&fpu.xmm_space[4 * i], wanted.zmm[i], 16) == 0);
  CHECK(ptrace(PTRACE_GETREGSET, child, NT_X86_XSTATE, &area) == 0);
  CHECK(area.iov_len >= 576 && memcmp(xsave + 160 + 16 * 9, wanted.zmm[9], 16) == 0);
  if (vector_widest() != VECTOR_SSE)
    CHECK(memcmp(xsave + 576 + 16 * 9, &wanted.zmm[9][2], 16) == 0);
  memset(&fpu.xmm_space[4 * 3], 0, 16);
  fpu.xmm_space[4 * 3] = fpu.xmm_space[4 * 3 + 2] = 0x33;
  CHECK(ptrace(PTRACE_SETFPREGS, child, 0, &fpu) == 0);
  CHECK(ptrace(PTRACE_CONT, child, 0, 0) == 0);
  CHECK(WIFSTOPPED(gt_wait(child)));
  CHECK_EQ(ptrace(PTRACE_PEEKUSER, child, offsetof(struct user, regs.rbx), 0), 5);
  CHECK(ptrace(PTRACE_POKEUSER, child, offsetof(struct user, regs.rbx), 6) == 0);
  struct user_regs_struct regs;
  CHECK(ptrace(PTRACE_GETREGS, child, 0, &regs) == 0);
  CHECK_EQ(regs.rbx, 6);
  CHECK_EQ(regs.cs, 0x33);
  regs.rbx = 61;
  CHECK(ptrace(PTRACE_SETREGS, child, 0, &regs) == 0);
  CHECK(ptrace(PTRACE_PEEKUSER, child, 1 << 20, 0) == -1 && errno == EIO);
  CHECK(ptrace(PTRACE_CONT, child, 0, 0) == 0);
  gt_wait_exit(child, 61);
  return gt_ok();
}
