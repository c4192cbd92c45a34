// SPDX-License-Identifier: Apache-2.0
/* The signal frame shows the vector registers, and what a handler writes there is in the registers
 * afterwards. */
#include <ucontext.h>

#include "vector_state.h"

static volatile int* words; /* [0] handled, [1] registers are loaded */

static void change(int signal_number, siginfo_t* info, void* context) {
  ucontext_t* const uc = context;
  struct _libc_fpstate* const fpu = uc->uc_mcontext.fpregs;
  uint32_t magic[2];
  memcpy(magic, (char*)fpu + 464, sizeof magic); /* struct _fpx_sw_bytes: magic1, extended_size */
  struct vector_state wanted;
  vector_pattern(&wanted, 3);
  for (int i = 0; i < 16; i++) CHECK(memcmp(&fpu->_xmm[i], wanted.zmm[i], 16) == 0);
  if (vector_widest() != VECTOR_SSE) {
    CHECK_EQ(magic[0], 0x46505853);
    CHECK(magic[1] > 576);
  }
  CHECK_EQ(fpu->mxcsr & 0xffc0, 0x5f80);
  for (int i = 0; i < 4; i++) fpu->_xmm[5].element[i] = 0x01020304;
  words[0] = 1;
}

int main(int argc, char** argv) {
  struct vector_state in, out;
  gt_begin(argc, argv);
  gt_on_signal(SIGUSR1, change, 0);
  vector_pattern(&in, 3);
  words = gt_map_shared(GT_PAGE);
  const pid_t child = gt_fork();
  if (child == 0) {
    const unsigned rounding_up = 0x5f80;
    unsigned now;
    const pid_t killer = gt_fork();
    if (killer == 0) {
      while (!words[1]) sched_yield();
      kill(getppid(), SIGUSR1);
      _exit(0);
    }
    __asm__ volatile("ldmxcsr %0" ::"m"(rounding_up));
    VECTOR_AROUND(VECTOR_SSE, &in, &out, words, "movl $1, 4(%2)\n\t" VECTOR_SPIN);
    __asm__ volatile("stmxcsr %0" : "=m"(now));
    CHECK_EQ(now & 0xffc0, rounding_up);
    for (int i = 0; i < 2; i++) in.zmm[5][i] = 0x0102030401020304;
    CHECK(vector_equal(&in, &out, VECTOR_SSE));
    gt_wait_exit(killer, 0);
    _exit(0);
  }
  gt_wait_exit(child, 0);
  return gt_ok();
}
