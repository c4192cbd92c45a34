// SPDX-License-Identifier: Apache-2.0
/* Threads are created and joined on all CPUs at once; each has its own thread-local storage and
 * stack. */
#include "guest_test.h"

static __thread int own[64];
static atomic_int total;

static void* leaf(void* value) {
  const int number = (int)(intptr_t)value;
  for (int i = 0; i < 64; i++) CHECK_EQ(own[i], 0);
  for (int i = 0; i < 64; i++) own[i] = number + i;
  sched_yield();
  for (int i = 0; i < 64; i++) CHECK_EQ(own[i], number + i);
  atomic_fetch_add(&total, 1);
  return value;
}

static void body(int index) {
  for (int round = 0; round < 50; round++) {
    pthread_t thread[4];
    void* result;
    for (int i = 0; i < 4; i++)
      CHECK(pthread_create(&thread[i], NULL, leaf, (void*)(intptr_t)(round * 10 + i)) == 0);
    for (int i = 0; i < 4; i++) {
      CHECK(pthread_join(thread[i], &result) == 0);
      CHECK_EQ((intptr_t)result, round * 10 + i);
    }
  }
}

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  gt_threads(gt_cpus(), body);
  CHECK_EQ(total, gt_cpus() * 200);
  return gt_ok();
}
