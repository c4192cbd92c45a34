// SPDX-License-Identifier: Apache-2.0
/* Interval timers, POSIX timers to a thread, overrun counts, ITIMER_VIRTUAL, alarm. */
#include <sys/time.h>

#include "guest_test.h"

static volatile int ticks;
static volatile pid_t seen_tid;

static void handler(int signal_number, siginfo_t* info, void* context) {
  ticks++;
  seen_tid = (pid_t)syscall(SYS_gettid);
}

static void wait_ticks(int n) {
  ticks = 0;
  while (ticks < n) __builtin_ia32_pause();
}

int main(int argc, char** argv) {
  timer_t timer;
  sigset_t set;
  siginfo_t info;
  const struct itimerval tick = {{0, 3000}, {0, 3000}}, off = {{0, 0}, {0, 0}};
  const struct itimerspec fast = {{0, 1000000}, {0, 1000000}};
  gt_begin(argc, argv);
  gt_on_signal(SIGALRM, handler, 0);
  gt_on_signal(SIGVTALRM, handler, 0);
  gt_on_signal(SIGRTMIN, handler, 0);
  const uint64_t begin = gt_now_ns();
  CHECK(setitimer(ITIMER_REAL, &tick, NULL) == 0);
  wait_ticks(10);
  CHECK(setitimer(ITIMER_REAL, &off, NULL) == 0);
  CHECK(gt_now_ns() - begin >= 29000000);
  CHECK(setitimer(ITIMER_VIRTUAL, &tick, NULL) == 0);
  wait_ticks(3);
  CHECK(setitimer(ITIMER_VIRTUAL, &off, NULL) == 0);
  struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN};
  event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
  CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
  CHECK(timer_settime(timer, 0, &fast, NULL) == 0);
  wait_ticks(5);
  CHECK_EQ(seen_tid, event._sigev_un._tid);
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN);
  CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
  usleep(50000);
  CHECK_EQ(sigwaitinfo(&set, &info), SIGRTMIN);
  CHECK(info.si_code == SI_TIMER && timer_getoverrun(timer) >= 30);
  CHECK(timer_delete(timer) == 0);
  alarm(1);
  pause();
  CHECK(gt_now_ns() - begin > 1000000000 && alarm(0) == 0);
  return gt_ok();
}
