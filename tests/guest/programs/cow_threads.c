// SPDX-License-Identifier: Apache-2.0
/* fork while threads on other CPUs write: the child's copy stands still, and no write of the parent
 * is lost. */
#include "guest_test.h"

enum { kPages = 32 };
static atomic_bool done;
static volatile long* pages[GT_CPUS_MAX];
static int members;

static void check_still(void) {
  long copy[GT_CPUS_MAX][kPages];
  for (int repeat = 0; repeat < 20; repeat++)
    for (int m = 1; m < members; m++)
      for (int i = 0; i < kPages; i++) {
        const long now = pages[m][i * GT_PAGE / 8];
        if (repeat == 0) copy[m][i] = now;
        CHECK_EQ(copy[m][i], now);
        CHECK_EQ(pages[m][i * GT_PAGE / 8 + 1] >= now, 1);
      }
}

static void body(int index) {
  if (index == 0) {
    for (int round = 0; round < 30; round++) {
      const pid_t child = gt_fork();
      if (child == 0) check_still(), _exit(0);
      gt_wait_exit(child, 0);
    }
    done = true;
    return;
  }
  long count = 0;
  while (!done) {
    count++;
    for (int i = 0; i < kPages; i++) {
      volatile long* const at = pages[index] + i * GT_PAGE / 8;
      CHECK_EQ(at[0], count - 1); /* the previous write is still there */
      at[1] = count;
      at[0] = count;
    }
  }
}

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  members = gt_cpus() > 1 ? gt_cpus() : 2;
  for (int i = 0; i < members; i++) pages[i] = gt_map(kPages * GT_PAGE);
  gt_threads(members, body);
  return gt_ok();
}
