// SPDX-License-Identifier: Apache-2.0
/* Locked instructions of threads on all CPUs: totals are exact, also next to each other and
 * unaligned. */
#include "guest_test.h"

enum { kEach = 20000 };
static _Alignas(GT_PAGE) struct {
  atomic_long added, compared, exchanged;
  atomic_uchar bytes[8];
  char gap[21];
  __attribute__((packed, aligned(1))) long split; /* bytes 53 to 60 */
  char rest[64];
} page;
static atomic_long taken;
static long wide[2] __attribute__((aligned(16)));

static void add_wide(void) {
  long low = wide[0], high = wide[1];
  unsigned char done;
  do
    __asm__ volatile("lock cmpxchg16b %1\n\tsete %0"
                     : "=q"(done), "+m"(wide), "+a"(low), "+d"(high)
                     : "b"(low + 1), "c"(high - 1)
                     : "cc", "memory");
  while (!done);
}

static void body(int index) {
  for (int i = 0; i < kEach; i++) {
    atomic_fetch_add(&page.added, 1);
    long seen = page.compared;
    while (!atomic_compare_exchange_weak(&page.compared, &seen, seen + 1)) continue;
    atomic_fetch_add(&page.bytes[index % 8], 1);
    __asm__ volatile("lock incq %0" : "+m"(page.split)::"cc");
    add_wide();
    atomic_fetch_add(&taken, atomic_exchange(&page.exchanged, 1));
  }
}

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  const int members = gt_cpus() > 1 ? gt_cpus() : 3;
  gt_threads(members, body);
  const long total = (long)members * kEach;
  CHECK_EQ(page.added, total);
  CHECK_EQ(page.compared, total);
  CHECK_EQ(page.split, total);
  CHECK_EQ(wide[0], total);
  CHECK_EQ(wide[1], -total);
  CHECK_EQ(taken, total - 1);
  for (int i = 0; i < 8 && i < members; i++)
    CHECK_EQ(page.bytes[i], (unsigned char)(kEach * ((members - i + 7) / 8)));
  return gt_ok();
}
