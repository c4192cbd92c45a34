// SPDX-License-Identifier: Apache-2.0
/* The main stack grows by 6 MiB in steps and by a jump, and keeps its content. */
#include "guest_test.h"

__attribute__((noinline)) static uint64_t grow(int depth) {
  volatile uint64_t block[512];
  for (int i = 0; i < 512; i += 64) block[i] = (uint64_t)depth * 1000 + (uint64_t)i;
  const uint64_t below = depth > 0 ? grow(depth - 1) : 0;
  for (int i = 0; i < 512; i += 64) CHECK_EQ(block[i], (uint64_t)depth * 1000 + (uint64_t)i);
  return below + 1;
}

__attribute__((noinline)) static void jump(void) {
  volatile char block[3 << 20];
  block[0] = 1;
  CHECK_EQ(block[0], 1);
}

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  const pid_t child = gt_fork();
  if (child == 0) {
    jump();
    _exit(0);
  }
  gt_wait_exit(child, 0);
  CHECK_EQ(grow(1500), 1501);
  return gt_ok();
}
