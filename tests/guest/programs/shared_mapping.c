// SPDX-License-Identifier: Apache-2.0
/* One file, seen by mappings and by read and write of processes on all CPUs, is the same
 * everywhere. */
#include <fcntl.h>

#include "guest_test.h"

enum { kRounds = 200 };
static int fd, members;
static atomic_long* turn;

static void body(int index) {
  volatile long* const mapped = mmap(NULL, GT_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  CHECK(mapped != MAP_FAILED);
  for (long round = 0; round < kRounds; round++) {
    const long mine = round * members + index;
    long seen;
    while (atomic_load(turn) != mine) sched_yield();
    CHECK_EQ(mapped[0], mine);
    CHECK(pread(fd, &seen, sizeof seen, 0) == sizeof seen);
    CHECK_EQ(seen, mine);
    const long next = mine + 1;
    if (round & 1)
      mapped[0] = next;
    else
      CHECK(pwrite(fd, &next, sizeof next, 0) == sizeof next);
    atomic_store(turn, next);
  }
}

int main(int argc, char** argv) {
  char name[] = "/tmp/shared_mapping.XXXXXX";
  gt_begin(argc, argv);
  members = gt_cpus() > 1 ? gt_cpus() : 2;
  turn = gt_map_shared(GT_PAGE);
  fd = mkstemp(name);
  CHECK(fd >= 0 && unlink(name) == 0 && ftruncate(fd, GT_PAGE) == 0);
  gt_processes(members, body);
  return gt_ok();
}
