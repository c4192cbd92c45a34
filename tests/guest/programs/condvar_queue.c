// SPDX-License-Identifier: Apache-2.0
/* Producers and consumers on all CPUs over a small queue with condition variables: everything
 * arrives once. */
#include "guest_test.h"

enum { kEach = 3000, kSlots = 8 };
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t not_full = PTHREAD_COND_INITIALIZER, not_empty = PTHREAD_COND_INITIALIZER;
static int slots[kSlots], head, tail;
static long long sum;

static void body(int index) {
  for (int i = 1; i <= kEach; i++) {
    pthread_mutex_lock(&mutex);
    if (index % 2 == 0) {
      while (head - tail == kSlots) pthread_cond_wait(&not_full, &mutex);
      slots[head++ % kSlots] = i;
      pthread_cond_signal(&not_empty);
    } else {
      while (head == tail) pthread_cond_wait(&not_empty, &mutex);
      sum += slots[tail++ % kSlots];
      pthread_cond_signal(&not_full);
    }
    pthread_mutex_unlock(&mutex);
  }
}

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  const int members = gt_cpus() > 2 ? gt_cpus() & ~1 : 2;
  gt_threads(members, body);
  CHECK_EQ(sum, (long long)members / 2 * kEach * (kEach + 1) / 2);
  CHECK_EQ(head, tail);
  return gt_ok();
}
