// SPDX-License-Identifier: Apache-2.0
/* Masks: sa_mask, SA_NODEFER, SA_RESETHAND, pending sets, handlers nested eight deep. */
#include "guest_test.h"

static volatile int depth, deepest, calls;

static void nest(int signal_number, siginfo_t* info, void* context) {
  calls++;
  if (++depth > deepest) deepest = depth;
  if (depth < 8) raise(SIGUSR1);
  depth--;
}

static void count(int signal_number, siginfo_t* info, void* context) {
  calls++;
  if (signal_number == SIGUSR2 && calls == 1) {
    raise(SIGUSR2);
    CHECK_EQ(calls, 1); /* deferred until the handler returns */
  }
}

static bool pending(int signal_number) {
  sigset_t set;
  CHECK(sigpending(&set) == 0);
  return sigismember(&set, signal_number) == 1;
}

int main(int argc, char** argv) {
  struct sigaction now;
  sigset_t set, old;
  gt_begin(argc, argv);
  gt_on_signal(SIGUSR1, nest, SA_NODEFER);
  raise(SIGUSR1);
  CHECK_EQ(deepest, 8);
  CHECK_EQ(calls, 8);
  gt_on_signal(SIGUSR2, count, 0);
  calls = 0;
  raise(SIGUSR2);
  CHECK_EQ(calls, 2);
  gt_on_signal(SIGHUP, count, SA_RESETHAND);
  calls = 0;
  raise(SIGHUP);
  CHECK(sigaction(SIGHUP, NULL, &now) == 0 && now.sa_handler == SIG_DFL && calls == 1);
  sigemptyset(&set);
  sigaddset(&set, SIGUSR2);
  CHECK(sigprocmask(SIG_BLOCK, &set, &old) == 0 && sigismember(&old, SIGUSR2) == 0);
  calls = 1;
  raise(SIGUSR2), raise(SIGUSR2), raise(SIGUSR2);
  CHECK(pending(SIGUSR2) && calls == 1);
  const pid_t child = gt_fork();
  if (child == 0)
    _exit(pending(SIGUSR2) ? 1 : 0); /* pending signals are not inherited, the mask is */
  gt_wait_exit(child, 0);
  CHECK(sigprocmask(SIG_UNBLOCK, &set, NULL) == 0);
  CHECK_EQ(calls, 2); /* a standard signal is pending once */
  return gt_ok();
}
