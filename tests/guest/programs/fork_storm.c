// SPDX-License-Identifier: Apache-2.0
/* Every CPU forks children at the same time; each exit code arrives at the right parent. */
#include "guest_test.h"

static void storm(int index) {
  for (int round = 0; round < 40; round++) {
    pid_t child[4];
    for (int i = 0; i < 4; i++) {
      child[i] = gt_fork();
      if (child[i] == 0) _exit((round + i + index) & 127);
    }
    for (int i = 3; i >= 0; i--) gt_wait_exit(child[i], (round + i + index) & 127);
  }
}

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  gt_processes(gt_cpus(), storm);
  return gt_ok();
}
