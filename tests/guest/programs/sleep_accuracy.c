// SPDX-License-Identifier: Apache-2.0
/* Sleeps are never short, and their median is late by less than 10 ms; on all CPUs at once;
 * absolute sleeps too. */
#include "guest_test.h"

enum { kRounds = 15 };

static int compare(const void* a, const void* b) {
  const uint64_t x = *(const uint64_t*)a, y = *(const uint64_t*)b;
  return (x > y) - (x < y);
}

static void body(int index) {
  static const uint64_t lengths_us[] = {100, 1000, 7000, 30000};
  for (int l = 0; l < 4; l++) {
    uint64_t late[kRounds];
    for (int i = 0; i < kRounds; i++) {
      const uint64_t begin = gt_now_ns(), until = begin + lengths_us[l] * 1000;
      const struct timespec length = {0, (long)lengths_us[l] * 1000};
      const struct timespec at = {(time_t)(until / 1000000000), (long)(until % 1000000000)};
      if (i & 1)
        CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == 0);
      else
        CHECK(nanosleep(&length, NULL) == 0);
      const uint64_t end = gt_now_ns();
      CHECK(end >= until);
      late[i] = end - until;
    }
    qsort(late, kRounds, sizeof late[0], compare);
    CHECK(late[kRounds / 2] < 10000000);
  }
}

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  gt_processes(gt_cpus(), body);
  return gt_ok();
}
