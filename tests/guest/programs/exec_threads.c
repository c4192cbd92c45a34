// SPDX-License-Identifier: Apache-2.0
/* execve by a thread that is not the leader ends all other threads and keeps the process id. */
#include "guest_test.h"

static void* spin(void* unused) {
  for (;;) __builtin_ia32_pause();
  return NULL;
}

static void* sleeper(void* unused) {
  for (;;) pause();
  return NULL;
}

static void* execute(void* pid_text) {
  gt_pin(1);
  execl("/proc/self/exe", "exec_threads", "--child", (char*)pid_text, (char*)NULL);
  _exit(126);
}

static void run_child(void) {
  char pid_text[16];
  pthread_t thread[3];
  snprintf(pid_text, sizeof pid_text, "%d", getpid());
  CHECK(pthread_create(&thread[0], NULL, spin, NULL) == 0);
  CHECK(pthread_create(&thread[1], NULL, sleeper, NULL) == 0);
  CHECK(pthread_create(&thread[2], NULL, execute, pid_text) == 0);
  for (;;) pause();
}

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  if (gt_argc == 2) return atoi(gt_argv[1]) == getpid() && syscall(SYS_gettid) == getpid() ? 33 : 1;
  for (int round = 0; round < 5; round++) {
    const pid_t child = gt_fork();
    if (child == 0) run_child();
    gt_wait_exit(child, 33);
  }
  return gt_ok();
}
