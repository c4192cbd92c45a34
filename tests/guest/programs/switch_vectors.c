// SPDX-License-Identifier: Apache-2.0
/* Processes that share CPUs keep their own vector registers over system calls and preemption. */
#include "vector_state.h"

static void keep(int index) {
  struct vector_state in, out;
  static const int one = 1;
  const enum vector_width width = vector_widest();
  const uint64_t end = gt_now_ns() + 300000000;
  vector_pattern(&in, 10 + (uint64_t)index);
  while (gt_now_ns() < end) {
    for (int i = 0; i < 50; i++) {
      VECTOR_AROUND(width, &in, &out, &one, VECTOR_SYSCALL);
      CHECK(vector_equal(&in, &out, width));
      VECTOR_AROUND(width, &in, &out, &one, "movl $24, %%eax\n\tsyscall\n\t"); /* sched_yield */
      CHECK(vector_equal(&in, &out, width));
    }
  }
}

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  gt_processes(gt_cpus() * 2, keep);
  gt_threads(gt_cpus() * 2, keep);
  return gt_ok();
}
