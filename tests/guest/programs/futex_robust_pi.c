// SPDX-License-Identifier: Apache-2.0
/* Robust mutexes report a dead owner; priority-inheritance mutexes lock, contend and count exactly.
 */
#include "guest_test.h"

enum { kEach = 2000 };
static pthread_mutex_t pi;
static long total;

static void count(int index) {
  for (int i = 0; i < kEach; i++) {
    CHECK(pthread_mutex_lock(&pi) == 0);
    total++;
    CHECK(pthread_mutex_unlock(&pi) == 0);
  }
}

static void robust(void) {
  pthread_mutexattr_t kind;
  pthread_mutex_t* const mutex = gt_map_shared(GT_PAGE);
  pthread_mutexattr_init(&kind);
  pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
  CHECK(pthread_mutex_init(mutex, &kind) == 0);
  for (int round = 0; round < 10; round++) {
    const pid_t child = gt_fork();
    if (child == 0) {
      CHECK(pthread_mutex_lock(mutex) == 0);
      if (round & 1) raise(SIGKILL);
      _exit(0);
    }
    gt_wait(child);
    CHECK_EQ(pthread_mutex_lock(mutex), EOWNERDEAD);
    CHECK(pthread_mutex_consistent(mutex) == 0 && pthread_mutex_unlock(mutex) == 0);
  }
}

int main(int argc, char** argv) {
  pthread_mutexattr_t kind;
  gt_begin(argc, argv);
  robust();
  pthread_mutexattr_init(&kind);
  pthread_mutexattr_setprotocol(&kind, PTHREAD_PRIO_INHERIT);
  CHECK(pthread_mutex_init(&pi, &kind) == 0);
  const int members = gt_cpus() > 1 ? gt_cpus() : 2;
  gt_threads(members, count);
  CHECK_EQ(total, (long)members * kEach);
  return gt_ok();
}
