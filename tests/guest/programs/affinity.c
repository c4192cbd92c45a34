// SPDX-License-Identifier: Apache-2.0
/* A pinned thread is where it was pinned: sched_getcpu, getcpu and the rseq area agree; moving is
 * immediate. */
#include <sys/rseq.h>

#include "guest_test.h"

int main(int argc, char** argv) {
  unsigned cpu, node;
  gt_begin(argc, argv);
  for (int round = 0; round < 30; round++) {
    gt_pin(round);
    CHECK_EQ(sched_getcpu(), gt_cpu(round));
    CHECK(syscall(SYS_getcpu, &cpu, &node, NULL) == 0);
    CHECK_EQ(cpu, gt_cpu(round));
    const pid_t child = gt_fork();
    if (child == 0) _exit(sched_getcpu() == gt_cpu(round) ? 0 : 1);
    gt_wait_exit(child, 0);
  }
  if (__rseq_size > 0) {
    const struct rseq* const area =
        (const void*)((char*)__builtin_thread_pointer() + __rseq_offset);
    CHECK_EQ(*(volatile const uint32_t*)&area->cpu_id, gt_cpu(29));
  }
  cpu_set_t none;
  CPU_ZERO(&none);
  CHECK(sched_setaffinity(0, sizeof none, &none) == -1 && errno == EINVAL);
  return gt_ok();
}
