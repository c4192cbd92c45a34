// SPDX-License-Identifier: Apache-2.0
/* Timed waits on condition variable, mutex and semaphore end on time, and a wake-up beats the
 * time-out. */
#include <semaphore.h>

#include "guest_test.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, held = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static sem_t semaphore;
static bool woken;

static struct timespec after_ms(int ms) {
  struct timespec at;
  clock_gettime(CLOCK_REALTIME, &at);
  at.tv_nsec += ms * 1000000l;
  at.tv_sec += at.tv_nsec / 1000000000;
  at.tv_nsec %= 1000000000;
  return at;
}

static void* waker(void* unused) {
  pthread_mutex_lock(&mutex);
  woken = true;
  pthread_cond_signal(&cond);
  pthread_mutex_unlock(&mutex);
  CHECK(sem_post(&semaphore) == 0);
  struct timespec soon = after_ms(20);
  CHECK_EQ(pthread_mutex_timedlock(&held, &soon), ETIMEDOUT);
  return NULL;
}

int main(int argc, char** argv) {
  pthread_t thread;
  gt_begin(argc, argv);
  CHECK(sem_init(&semaphore, 0, 0) == 0);
  const uint64_t begin = gt_now_ns();
  struct timespec soon = after_ms(20), late = after_ms(20000);
  pthread_mutex_lock(&mutex);
  CHECK_EQ(pthread_cond_timedwait(&cond, &mutex, &soon), ETIMEDOUT);
  CHECK(gt_now_ns() - begin >= 19000000);
  pthread_mutex_lock(&held);
  CHECK(pthread_create(&thread, NULL, waker, NULL) == 0);
  while (!woken) CHECK_EQ(pthread_cond_timedwait(&cond, &mutex, &late), 0);
  pthread_mutex_unlock(&mutex);
  CHECK(sem_timedwait(&semaphore, &late) == 0);
  soon = after_ms(10);
  CHECK(sem_timedwait(&semaphore, &soon) == -1 && errno == ETIMEDOUT);
  CHECK(pthread_join(thread, NULL) == 0);
  return gt_ok();
}
