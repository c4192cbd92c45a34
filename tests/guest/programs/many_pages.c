// SPDX-License-Identifier: Apache-2.0
/* 70,000 pages touched in a scattered order, more than a host process may have mappings, keep their
 * content. */
#include "guest_test.h"

enum { kPages = 70001 };

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  const long available = sysconf(_SC_AVPHYS_PAGES);
  const size_t count = available > kPages + 20000 ? kPages : (size_t)available / 2;
  uint64_t* const at = gt_map(count * GT_PAGE);
  size_t page = 1;
  madvise(at, count * GT_PAGE, MADV_NOHUGEPAGE);
  for (size_t i = 0; i < count; i++) {
    page = (page + 7919 * 13) % count;
    at[page * 512 + page % 512] += page + 1;
  }
  uint64_t sum = 0;
  for (size_t i = 0; i < count; i++) sum += at[i * 512 + i % 512];
  size_t visits = 0;
  for (size_t i = 0; i < count; i++) {
    const uint64_t value = at[i * 512 + i % 512];
    CHECK_EQ(value % (i + 1), 0);
    visits += value / (i + 1);
  }
  CHECK(sum > 0);
  CHECK_EQ(visits, count);
  CHECK(munmap(at, count * GT_PAGE) == 0);
  return gt_ok();
}
