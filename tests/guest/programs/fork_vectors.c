// SPDX-License-Identifier: Apache-2.0
/* A forked child starts with its parent's vector registers, and both keep them. */
#include "vector_state.h"

int main(int argc, char** argv) {
  struct vector_state in, out;
  static volatile int child_pid;
  gt_begin(argc, argv);
  for (enum vector_width width = VECTOR_SSE; width <= vector_widest(); width++) {
    vector_pattern(&in, 5 + (uint64_t)width);
    VECTOR_AROUND(width, &in, &out, &child_pid,
                  "movl $57, %%eax\n\tsyscall\n\tmovl %%eax, (%2)\n\t");
    CHECK(child_pid >= 0);
    const bool same = vector_equal(&in, &out, width);
    if (child_pid == 0) _exit(same ? 0 : 1);
    gt_wait_exit(child_pid, 0);
    CHECK(same);
  }
  return gt_ok();
}
