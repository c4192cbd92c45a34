// SPDX-License-Identifier: Apache-2.0
/* A program that uses 80 % of all memory of the machine finds every page as it left it. */
#include "guest_test.h"

enum { kPercent = 80 };
static const size_t kSmallMachine = (size_t)2 << 30;

static uint64_t content(size_t page) {
  return (page + 1) * 0x9e3779b97f4a7c15u;
}

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  const size_t total = (size_t)sysconf(_SC_PHYS_PAGES), pages = total / 100 * kPercent;
  if (total * GT_PAGE > kSmallMachine) gt_skip("needs a machine of at most 2 GiB");
  if (pages > (size_t)sysconf(_SC_AVPHYS_PAGES)) gt_skip("too little of its memory is free");
  uint64_t* const at = gt_map(pages * GT_PAGE);
  for (size_t i = 0; i < pages; i++) at[i * 512 + i % 512] = content(i);
  for (size_t i = 0; i < pages; i++) CHECK_EQ(at[i * 512 + i % 512], content(i));
  /* and once more from the end, changed on the way */
  for (size_t i = pages; i-- > 0;) CHECK_EQ(at[i * 512 + i % 512]++, content(i));
  for (size_t i = 0; i < pages; i += 97) CHECK_EQ(at[i * 512 + i % 512], content(i) + 1);
  return gt_ok();
}
