// SPDX-License-Identifier: Apache-2.0
/* exit() while other threads run, sleep and make system calls ends all of them with that code. */
#include "guest_test.h"

static void* spin(void* unused) {
  for (;;) __builtin_ia32_pause();
  return NULL;
}
static void* sleeper(void* unused) {
  for (;;) pause();
  return NULL;
}
static void* caller(void* unused) {
  for (;;) syscall(SYS_getppid);
  return NULL;
}

int main(int argc, char** argv) {
  void* (*const bodies[])(void*) = {spin, sleeper, caller, spin};
  gt_begin(argc, argv);
  for (int round = 0; round < 10; round++) {
    const pid_t child = gt_fork();
    if (child == 0) {
      pthread_t thread;
      for (int i = 0; i < 4; i++) CHECK(pthread_create(&thread, NULL, bodies[i], NULL) == 0);
      exit(round + 1);
    }
    gt_wait_exit(child, round + 1);
  }
  return gt_ok();
}
