// SPDX-License-Identifier: Apache-2.0
/* Work that nobody pins comes to all nodes by itself: one CPU-bound process per CPU, started from
 * one place, and every node gets some of them within 20 s. */
#include "guest_test.h"

static const uint64_t kLimitNs = 20000000000;

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  const int processes = (int)sysconf(_SC_NPROCESSORS_ONLN);
  unsigned all = 0;
  for (int cpu = 0; cpu < processes; cpu++) {
    unsigned node;
    gt_pin(cpu);
    CHECK(syscall(SYS_getcpu, NULL, &node, NULL) == 0);
    if (sched_getcpu() == cpu) all |= 1u << node;
  }
  if ((all & (all - 1)) == 0) gt_skip("has one node");
  cpu_set_t any;
  CPU_ZERO(&any);
  for (int cpu = 0; cpu < processes; cpu++) CPU_SET(cpu, &any);
  CHECK(sched_setaffinity(0, sizeof any, &any) == 0);

  atomic_uint* const seen = gt_map_shared(GT_PAGE);
  pid_t child[GT_CPUS_MAX];
  for (int i = 0; i < processes && i < GT_CPUS_MAX; i++) {
    child[i] = gt_fork();
    if (child[i] != 0) continue;
    for (const uint64_t end = gt_now_ns() + kLimitNs; *seen != all && gt_now_ns() < end;) {
      unsigned node;
      for (volatile int work = 0; work < 1000000; work++) continue;
      CHECK(syscall(SYS_getcpu, NULL, &node, NULL) == 0);
      if (!(*seen & 1u << node)) atomic_fetch_or(seen, 1u << node);
    }
    _exit(0);
  }
  for (int i = 0; i < processes && i < GT_CPUS_MAX; i++) gt_wait_exit(child[i], 0);
  CHECK_EQ(*seen, all);
  return gt_ok();
}
