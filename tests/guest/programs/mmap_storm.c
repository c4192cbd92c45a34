// SPDX-License-Identifier: Apache-2.0
/* Threads on all CPUs map, fill, check and unmap at the same time in one address space. */
#include "guest_test.h"

static void body(int index) {
  for (int round = 0; round < 150; round++) {
    const size_t pages = (size_t)(round % 16 + 1);
    char* const at = gt_map(pages * GT_PAGE);
    for (size_t i = 0; i < pages; i++) {
      CHECK_EQ(at[i * GT_PAGE], 0);
      at[i * GT_PAGE] = (char)(index + round + (int)i);
    }
    for (size_t i = 0; i < pages; i++) CHECK_EQ(at[i * GT_PAGE], (char)(index + round + (int)i));
    CHECK(munmap(at, pages * GT_PAGE) == 0);
  }
}

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  gt_threads(gt_cpus() + 1, body);
  return gt_ok();
}
