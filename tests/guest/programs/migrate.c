// SPDX-License-Identifier: Apache-2.0
/* A thread that is moved between CPUs all the time by another one computes the right thing. */
#include "vector_state.h"

static atomic_bool done;
static volatile pid_t worker_tid;

static void* worker(void* unused) {
  const enum vector_width width = vector_widest();
  struct vector_state in, out;
  static const int one = 1;
  uint64_t sum = 0;
  uint64_t* const data = gt_map(64 * GT_PAGE);
  worker_tid = (pid_t)syscall(SYS_gettid);
  for (uint64_t i = 0; i < 3000000; i++) {
    data[i * 7 % (64 * 512)] += i;
    sum += i;
    if (i % 10000 != 0) continue;
    vector_pattern(&in, i);
    VECTOR_AROUND(width, &in, &out, &one, VECTOR_SYSCALL);
    CHECK(vector_equal(&in, &out, width));
  }
  for (int i = 0; i < 64 * 512; i++) sum -= data[i];
  CHECK_EQ(sum, 0);
  done = true;
  return NULL;
}

int main(int argc, char** argv) {
  pthread_t thread;
  gt_begin(argc, argv);
  gt_need_cpus(2);
  CHECK(pthread_create(&thread, NULL, worker, NULL) == 0);
  while (!worker_tid) sched_yield();
  for (int i = 0; !done; i++) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(gt_cpu(i), &set);
    CHECK(sched_setaffinity(worker_tid, sizeof set, &set) == 0 || errno == ESRCH);
    usleep(1000);
  }
  CHECK(pthread_join(thread, NULL) == 0);
  return gt_ok();
}
