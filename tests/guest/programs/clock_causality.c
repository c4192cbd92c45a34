// SPDX-License-Identifier: Apache-2.0
/* Clocks never go back, not even from one CPU to the other: a time handed over is never in the
 * future. */
#include "guest_test.h"

enum { kRounds = 3000 };
static _Alignas(64) _Atomic uint64_t handed;
static _Alignas(64) atomic_int turn;

static void body(int index) {
  uint64_t last = 0;
  for (int round = 0; round < kRounds; round++) {
    while (turn != 2 * round + index) sched_yield();
    const uint64_t now = gt_now_ns();
    CHECK(now >= handed && now >= last);
    handed = last = now;
    turn++;
  }
}

int main(int argc, char** argv) {
  struct timespec real, coarse, boot, fine, resolution;
  gt_begin(argc, argv);
  gt_threads(2, body);
  CHECK(clock_gettime(CLOCK_REALTIME, &real) == 0 && real.tv_sec > 1700000000);
  CHECK(clock_gettime(CLOCK_MONOTONIC_COARSE, &coarse) == 0 &&
        clock_gettime(CLOCK_MONOTONIC, &fine) == 0);
  CHECK(fine.tv_sec - coarse.tv_sec <= 1 && fine.tv_sec >= coarse.tv_sec);
  CHECK(clock_gettime(CLOCK_BOOTTIME, &boot) == 0 && boot.tv_sec >= fine.tv_sec);
  CHECK(clock_getres(CLOCK_MONOTONIC, &resolution) == 0 && resolution.tv_sec == 0 &&
        resolution.tv_nsec == 1);
  CHECK(labs((long)time(NULL) - real.tv_sec) <= 1);
  return gt_ok();
}
