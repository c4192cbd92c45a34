// SPDX-License-Identifier: Apache-2.0
/* Threads on all CPUs signal each other 2000 times each; every queued signal is handled exactly
 * once. */
#include "guest_test.h"

enum { kEach = 2000 };
static pthread_t threads[GT_CPUS_MAX];
static atomic_int ready, handled;
static int members;

static void handler(int signal_number, siginfo_t* info, void* context) {
  atomic_fetch_add(&handled, 1);
}

static void body(int index) {
  threads[index] = pthread_self();
  atomic_fetch_add(&ready, 1);
  while (ready < members) sched_yield();
  for (int i = 0; i < kEach; i++) {
    const union sigval value = {.sival_int = i};
    while (pthread_sigqueue(threads[(index + 1) % members], SIGRTMIN, value) == EAGAIN)
      sched_yield();
  }
  while (handled < members * kEach) sched_yield();
}

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  members = gt_cpus() > 1 ? gt_cpus() : 2;
  gt_on_signal(SIGRTMIN, handler, SA_RESTART);
  gt_threads(members, body);
  CHECK_EQ(handled, members * kEach);
  return gt_ok();
}
