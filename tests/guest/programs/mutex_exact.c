// SPDX-License-Identifier: Apache-2.0
/* Threads on all CPUs count under mutex, spinlock and rwlock; the totals are exact. */
#include "guest_test.h"

enum { kEach = 5000 };
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static atomic_flag spin = ATOMIC_FLAG_INIT;
static long by_mutex, by_rwlock, by_spin;

static void body(int index) {
  for (int i = 0; i < kEach; i++) {
    pthread_mutex_lock(&mutex);
    by_mutex++;
    pthread_mutex_unlock(&mutex);
    pthread_rwlock_wrlock(&rwlock);
    by_rwlock++;
    pthread_rwlock_unlock(&rwlock);
    pthread_rwlock_rdlock(&rwlock);
    CHECK(by_rwlock > i);
    pthread_rwlock_unlock(&rwlock);
    while (atomic_flag_test_and_set(&spin)) sched_yield();
    by_spin++;
    atomic_flag_clear(&spin);
  }
}

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  const int members = gt_cpus() > 1 ? gt_cpus() : 3;
  gt_threads(members, body);
  CHECK_EQ(by_mutex, (long)members * kEach);
  CHECK_EQ(by_rwlock, (long)members * kEach);
  CHECK_EQ(by_spin, (long)members * kEach);
  return gt_ok();
}
