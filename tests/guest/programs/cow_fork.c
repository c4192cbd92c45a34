// SPDX-License-Identifier: Apache-2.0
/* After fork private pages are separate in both directions and shared pages are one; grandchildren
 * too. */
#include "guest_test.h"

enum { kPages = 200 };
static char *own, *common;

static void check_own(int add) {
  for (int i = 0; i < kPages; i++) CHECK_EQ(own[i * GT_PAGE], (char)(i + add));
}

static void set(char* pages, int add) {
  for (int i = 0; i < kPages; i++) pages[i * GT_PAGE] = (char)(i + add);
}

int main(int argc, char** argv) {
  int ends[2];
  char byte = 0;
  gt_begin(argc, argv);
  own = gt_map(kPages * GT_PAGE);
  common = gt_map_shared(kPages * GT_PAGE);
  CHECK(pipe(ends) == 0);
  set(own, 0);
  const pid_t child = gt_fork();
  if (child == 0) {
    gt_pin(1);
    const pid_t grandchild = gt_fork();
    if (grandchild == 0) {
      CHECK(read(ends[0], &byte, 1) == 1); /* the parent has changed its pages by now */
      check_own(0);
      set(own, 9);
      check_own(9);
      _exit(0);
    }
    gt_wait_exit(grandchild, 0);
    check_own(0);
    set(own, 5);
    set(common, 3);
    check_own(5);
    _exit(0);
  }
  gt_pin(0);
  set(own, 7);
  CHECK(write(ends[1], &byte, 1) == 1);
  gt_wait_exit(child, 0);
  check_own(7);
  for (int i = 0; i < kPages; i++) CHECK_EQ(common[i * GT_PAGE], (char)(i + 3));
  return gt_ok();
}
