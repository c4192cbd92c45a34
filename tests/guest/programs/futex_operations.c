// SPDX-License-Identifier: Apache-2.0
/* futex: EAGAIN, time-out, wake counts, bit sets, requeue, private and shared keys, bad addresses.
 */
#include <linux/futex.h>

#include "guest_test.h"

static _Atomic uint32_t word, target;
static atomic_int waiting, woken;

static long futex(_Atomic uint32_t* at, int op, uint32_t value, const void* time, void* at2,
                  uint32_t v3) {
  return syscall(SYS_futex, at, op, value, time, at2, v3);
}

static void* waiter(void* bits) {
  atomic_fetch_add(&waiting, 1);
  CHECK(futex(&word, FUTEX_WAIT_BITSET, 0, NULL, NULL, (uint32_t)(uintptr_t)bits) == 0);
  atomic_fetch_add(&woken, 1);
  return NULL;
}

/* Repeats until all n were counted: a thread may not sleep in the futex yet. */
static void until(long n, int op, uint32_t bits) {
  for (long have = 0; have < n; sched_yield()) {
    const long got = futex(&word, op, (uint32_t)(n - have), NULL, NULL, bits);
    CHECK(got >= 0);
    have += got;
  }
}

int main(int argc, char** argv) {
  pthread_t thread[4];
  const struct timespec limit = {0, 10000000};
  gt_begin(argc, argv);
  CHECK(futex(&word, FUTEX_WAIT, 1, NULL, NULL, 0) == -1 && errno == EAGAIN);
  const uint64_t begin = gt_now_ns();
  CHECK(futex(&word, FUTEX_WAIT, 0, &limit, NULL, 0) == -1 && errno == ETIMEDOUT);
  CHECK(gt_now_ns() - begin >= 10000000);
  CHECK(futex((void*)3, FUTEX_WAKE, 1, NULL, NULL, 0) == -1 && errno == EINVAL);
  CHECK(futex((void*)64, FUTEX_WAIT, 0, NULL, NULL, 0) == -1 && errno == EFAULT);
  CHECK_EQ(futex(&word, FUTEX_WAKE, 9, NULL, NULL, 0), 0);
  for (int i = 0; i < 4; i++)
    CHECK(pthread_create(&thread[i], NULL, waiter, (void*)(uintptr_t)(i < 2 ? 1 : 2)) == 0);
  until(2, FUTEX_WAKE_BITSET, 2);
  CHECK(pthread_join(thread[2], NULL) == 0 && pthread_join(thread[3], NULL) == 0);
  CHECK_EQ(woken, 2);
  for (long have = 0; have < 2; sched_yield()) {
    const long got = futex(&word, FUTEX_CMP_REQUEUE, 0, (void*)(2 - have), &target, 0);
    CHECK(got >= 0);
    have += got;
  }
  CHECK_EQ(futex(&word, FUTEX_WAKE, 9, NULL, NULL, 0), 0);
  CHECK_EQ(futex(&target, FUTEX_WAKE, 1, NULL, NULL, 0), 1);
  CHECK_EQ(futex(&target, FUTEX_WAKE_OP, 1, (void*)1, &word,
                 FUTEX_OP(FUTEX_OP_ADD, 5, FUTEX_OP_CMP_EQ, 9)),
           1);
  CHECK_EQ(word, 5);
  CHECK(pthread_join(thread[0], NULL) == 0 && pthread_join(thread[1], NULL) == 0);
  CHECK_EQ(woken, 4);
  return gt_ok();
}
