// SPDX-License-Identifier: Apache-2.0
/* vfork: the child shares the memory of the parent, who waits until the child executes or exits. */
#include "guest_test.h"

int main(int argc, char** argv) {
  static volatile int shared;
  gt_begin(argc, argv);
  if (gt_argc == 1) return 21;
  for (int round = 0; round < 20; round++) {
    shared = 0;
    pid_t child = vfork();
    if (child == 0) {
      shared = 1;
      for (volatile int i = 0; i < 10000; i++) continue;
      shared = 2;
      _exit(5);
    }
    CHECK_EQ(shared, 2);
    gt_wait_exit(child, 5);
    child = vfork();
    if (child == 0) {
      execl("/proc/self/exe", "vfork_exec", "--child", (char*)NULL);
      _exit(126);
    }
    gt_wait_exit(child, 21);
  }
  return gt_ok();
}
