// SPDX-License-Identifier: Apache-2.0
/* membarrier replaces the fence of the other side: store buffering never shows zero and zero. */
#include <linux/membarrier.h>

#include "guest_test.h"

enum { kRounds = 300 };
static _Alignas(64) atomic_int x;
static _Alignas(64) atomic_int y;
static _Alignas(64) atomic_int arrived;
static int seen[2];

static void meet(int round) {
  atomic_fetch_add(&arrived, 1);
  while (atomic_load(&arrived) < 2 * round) __builtin_ia32_pause();
}

static void body(int index) {
  atomic_int* const mine = index ? &y : &x;
  atomic_int* const other = index ? &x : &y;
  for (int round = 0; round < kRounds; round++) {
    meet(3 * round + 1);
    atomic_store_explicit(mine, 1, memory_order_relaxed);
    if (index)
      __asm__ volatile("" ::: "memory");
    else
      CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0);
    seen[index] = atomic_load_explicit(other, memory_order_relaxed);
    meet(3 * round + 2);
    if (index == 0) {
      CHECK(seen[0] || seen[1]);
      x = y = 0;
    }
    meet(3 * round + 3);
  }
}

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  gt_need_cpus(2);
  const int command = MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED;
  if (syscall(SYS_membarrier, command, 0, 0) < 0) gt_skip("kernel without expedited membarrier");
  gt_threads(2, body);
  return gt_ok();
}
