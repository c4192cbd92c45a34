// SPDX-License-Identifier: Apache-2.0
/* CPU time grows while a thread works, not while it sleeps; children are added when they are waited
 * for. */
#include <sys/resource.h>

#include "guest_test.h"

static uint64_t cpu_ns(clockid_t clock) {
  struct timespec now;
  CHECK(clock_gettime(clock, &now) == 0);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void work(uint64_t ns) {
  const uint64_t begin = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
  while (cpu_ns(CLOCK_THREAD_CPUTIME_ID) - begin < ns) continue;
}

static uint64_t used_us(int who) {
  struct rusage usage;
  CHECK(getrusage(who, &usage) == 0);
  return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000u +
         (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  const uint64_t wall = gt_now_ns(), cpu = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
  work(50000000);
  const uint64_t cpu_used = cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
  CHECK(cpu_used >= 50000000 && gt_now_ns() - wall >= 45000000);
  const uint64_t before = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
  usleep(100000);
  CHECK(cpu_ns(CLOCK_THREAD_CPUTIME_ID) - before < 30000000);
  const pid_t child = gt_fork();
  if (child == 0) work(60000000), _exit(0);
  gt_wait_exit(child, 0);
  CHECK(used_us(RUSAGE_CHILDREN) >= 30000);
  CHECK(used_us(RUSAGE_SELF) >= 20000);
  return gt_ok();
}
