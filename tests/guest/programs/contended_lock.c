// SPDX-License-Identifier: Apache-2.0
/* Two CPUs that take one lock in turns lose no count.  Between nodes this is the page that `pando top` must call a
 * contended lock.  Argument: seconds. */
#include "guest_test.h"

static struct {
  atomic_int taken;
  uint64_t count;
} lock __attribute__((aligned(GT_PAGE)));
static uint64_t end_ns, counted[2];

static void body(int index) {
  uint64_t mine = 0;

  while (gt_now_ns() < end_ns) {
    while (atomic_exchange(&lock.taken, 1)) sched_yield();
    lock.count++;
    atomic_store_explicit(&lock.taken, 0, memory_order_release);
    mine++;
  }
  counted[index] = mine;
}

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  gt_need_cpus(2);
  printf("lock at %p\n", (void*)&lock.taken);
  end_ns = gt_now_ns() + (uint64_t)(gt_argc > 0 ? atoi(gt_argv[0]) : 1) * 1000000000u;
  gt_threads(2, body);
  CHECK_EQ(lock.count, counted[0] + counted[1]);
  return gt_ok();
}
