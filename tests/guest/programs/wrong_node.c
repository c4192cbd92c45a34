// SPDX-License-Identifier: Apache-2.0
/* An array that one CPU fills and another one works on keeps its content.  Between nodes it lies where it was touched
 * first: on the wrong one, says `pando top`.  Arguments: seconds, MiB. */
#include "guest_test.h"

static uint64_t end_ns, *array;
static size_t words;

static void* work(void* rounds) {
  gt_pin(1);
  while (gt_now_ns() < end_ns) {
    for (size_t i = 0; i < words; i += GT_PAGE / 8) array[i]++;
    ++*(uint64_t*)rounds;
  }
  for (size_t i = 1; i < words; i += GT_PAGE / 8) CHECK_EQ(array[i], i);
  CHECK_EQ(array[0], *(uint64_t*)rounds);
  return NULL;
}

int main(int argc, char** argv) {
  pthread_t worker;
  uint64_t rounds = 0;

  gt_begin(argc, argv);
  gt_need_cpus(2);
  gt_pin(0);
  words = ((size_t)(gt_argc > 1 ? atoi(gt_argv[1]) : 4) << 20) / 8;
  array = gt_map(words * 8);
  for (size_t i = 0; i < words; i++) array[i] = i;
  printf("array from %p to %p\n", (void*)array, (void*)(array + words));
  end_ns = gt_now_ns() + (uint64_t)(gt_argc > 0 ? atoi(gt_argv[0]) : 1) * 1000000000u;
  CHECK(pthread_create(&worker, NULL, work, &rounds) == 0);
  CHECK(pthread_join(worker, NULL) == 0);
  CHECK(rounds > 0);
  return gt_ok();
}
