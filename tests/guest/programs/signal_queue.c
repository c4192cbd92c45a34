// SPDX-License-Identifier: Apache-2.0
/* Real-time signals queue in order with their values; sigtimedwait times out; a process signal
 * finds a free thread. */
#include "guest_test.h"

static volatile int seen_by;

static void handler(int signal_number, siginfo_t* info, void* context) {
  seen_by = (int)syscall(SYS_gettid);
}

static void* free_thread(void* tid) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  *(volatile int*)tid = (int)syscall(SYS_gettid);
  CHECK(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
  while (!seen_by) __builtin_ia32_pause();
  return NULL;
}

int main(int argc, char** argv) {
  sigset_t set;
  siginfo_t info;
  static int tid;
  pthread_t thread;
  gt_begin(argc, argv);
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigaddset(&set, SIGRTMIN);
  sigaddset(&set, SIGRTMIN + 1);
  CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
  for (int i = 0; i < 20; i++)
    CHECK(sigqueue(getpid(), SIGRTMIN + 1 - i % 2, (union sigval){.sival_int = i}) == 0);
  for (int i = 0; i < 20; i++) {
    CHECK_EQ(sigwaitinfo(&set, &info), SIGRTMIN + i / 10);
    CHECK_EQ(info.si_value.sival_int, i < 10 ? 2 * i + 1 : 2 * (i - 10));
    CHECK_EQ(info.si_code, SI_QUEUE);
    CHECK_EQ(info.si_pid, getpid());
  }
  const struct timespec limit = {0, 5000000};
  CHECK(sigtimedwait(&set, &info, &limit) == -1 && errno == EAGAIN);
  gt_on_signal(SIGUSR1, handler, 0);
  CHECK(pthread_create(&thread, NULL, free_thread, &tid) == 0);
  CHECK(kill(getpid(), SIGUSR1) == 0);
  CHECK(pthread_join(thread, NULL) == 0);
  CHECK_EQ(seen_by, tid);
  return gt_ok();
}
