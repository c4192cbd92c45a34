// SPDX-License-Identifier: Apache-2.0
/* Two counters that two CPUs count on their own, a cache line apart in one page, are exact.  Between nodes this is the
 * page that `pando top` must call false sharing.  Argument: seconds. */
#include "guest_test.h"

static struct {
  volatile uint64_t count;
  char other_cache_line[56];
} counters[2] __attribute__((aligned(GT_PAGE)));
static uint64_t end_ns;

static void body(int index) {
  uint64_t counted = 0;

  while (gt_now_ns() < end_ns)
    for (int i = 0; i < 200; i++, counted++) counters[index].count++;
  CHECK_EQ(counters[index].count, counted);
}

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  gt_need_cpus(2);
  printf("counters at %p and %p\n", (void*)&counters[0].count, (void*)&counters[1].count);
  end_ns = gt_now_ns() + (uint64_t)(gt_argc > 0 ? atoi(gt_argv[0]) : 1) * 1000000000u;
  gt_threads(2, body);
  return gt_ok();
}
