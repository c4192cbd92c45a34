// SPDX-License-Identifier: Apache-2.0
/* 300 threads of one process exist at once, meet at a barrier and end. */
#include "guest_test.h"

enum { kThreads = 300 };
static pthread_barrier_t barrier;
static atomic_int serial;

static void* body(void* unused) {
  for (int round = 0; round < 3; round++)
    if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD) serial++;
  return NULL;
}

int main(int argc, char** argv) {
  pthread_t thread[kThreads];
  pthread_attr_t small;
  gt_begin(argc, argv);
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 65536);
  CHECK(pthread_barrier_init(&barrier, NULL, kThreads) == 0);
  for (int i = 0; i < kThreads; i++) CHECK(pthread_create(&thread[i], &small, body, NULL) == 0);
  for (int i = 0; i < kThreads; i++) CHECK(pthread_join(thread[i], NULL) == 0);
  CHECK_EQ(serial, 3);
  return gt_ok();
}
