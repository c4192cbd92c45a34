// SPDX-License-Identifier: Apache-2.0
/* Processes on all CPUs run at the same time: a barrier by spinning on shared memory, passed 200
 * times. */
#include "guest_test.h"

enum { kRounds = 200 };
static atomic_int* arrived;
static int members;

static void body(int index) {
  for (int round = 1; round <= kRounds; round++) {
    atomic_fetch_add(arrived, 1);
    while (atomic_load(arrived) < round * members) __builtin_ia32_pause();
  }
}

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  gt_need_cpus(2);
  arrived = gt_map_shared(GT_PAGE);
  members = gt_cpus();
  gt_processes(members, body);
  CHECK_EQ(*arrived, kRounds * members);
  return gt_ok();
}
