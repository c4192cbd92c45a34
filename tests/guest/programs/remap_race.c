// SPDX-License-Identifier: Apache-2.0
/* A page replaced by mmap(MAP_FIXED) is never seen in its old version once the new version was
 * announced. */
#include "guest_test.h"

enum { kRounds = 400 };
static volatile int* window;
static atomic_int announced;
static int fd;

static void reader(void) {
  int seen;
  do {
    seen = atomic_load_explicit(&announced, memory_order_acquire);
    for (int i = 0; i < 20; i++) CHECK(*window >= seen);
  } while (seen < kRounds);
}

static void body(int index) {
  if (index > 0) return reader();
  for (int round = 1; round <= kRounds; round++) {
    CHECK(mmap((void*)window, GT_PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd,
               round * (off_t)GT_PAGE) == window);
    if (round % 3 == 0) CHECK_EQ(*window, round);
    atomic_store_explicit(&announced, round, memory_order_release);
    if (round % 8 == 0) sched_yield();
  }
}

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  fd = memfd_create("versions", 0);
  CHECK(fd >= 0 && ftruncate(fd, (kRounds + 1) * (off_t)GT_PAGE) == 0);
  for (int i = 0; i <= kRounds; i++)
    CHECK(pwrite(fd, &i, sizeof i, i * (off_t)GT_PAGE) == sizeof i);
  window = mmap(NULL, GT_PAGE, PROT_READ, MAP_SHARED, fd, 0);
  CHECK(window != MAP_FAILED);
  gt_threads(gt_cpus() > 1 ? gt_cpus() : 2, body);
  return gt_ok();
}
