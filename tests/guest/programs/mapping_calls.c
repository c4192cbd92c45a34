// SPDX-License-Identifier: Apache-2.0
/* mremap, MADV_DONTNEED, mincore, MAP_POPULATE, MAP_FIXED_NOREPLACE, brk and PROT_NONE holes behave
 * as documented. */
#include "guest_test.h"

enum { kPages = 64 };

static void fill(char* at) {
  for (int i = 0; i < kPages; i++) at[i * GT_PAGE] = (char)(i + 1);
}
static void expect(const char* at) {
  for (int i = 0; i < kPages; i++) CHECK_EQ(at[i * GT_PAGE], (char)(i + 1));
}

int main(int argc, char** argv) {
  unsigned char resident[kPages];
  gt_begin(argc, argv);
  char* at = gt_map(kPages * GT_PAGE);
  fill(at);
  at = mremap(at, kPages * GT_PAGE, 2 * kPages * GT_PAGE, MREMAP_MAYMOVE);
  CHECK(at != MAP_FAILED);
  expect(at);
  CHECK_EQ(at[kPages * GT_PAGE], 0);
  char* const elsewhere = gt_map(kPages * GT_PAGE);
  at = mremap(at, kPages * GT_PAGE, kPages * GT_PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, elsewhere);
  CHECK(at == elsewhere);
  expect(at);
  CHECK(madvise(at + 8 * GT_PAGE, 8 * GT_PAGE, MADV_DONTNEED) == 0);
  CHECK(mincore(at, kPages * GT_PAGE, resident) == 0);
  CHECK((resident[7] & 1) == 1 && (resident[8] & 1) == 0);
  for (int i = 8; i < 16; i++) CHECK_EQ(at[i * GT_PAGE], 0);
  CHECK_EQ(at[16 * GT_PAGE], 17);
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
  CHECK(mmap(at, GT_PAGE, PROT_READ, flags | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED &&
        errno == EEXIST);
  CHECK(mprotect(at + GT_PAGE, GT_PAGE, PROT_NONE) == 0);
  CHECK(mprotect(at, 3 * GT_PAGE, PROT_READ | PROT_WRITE) == 0);
  CHECK_EQ(at[GT_PAGE], 2);
  char* const populated =
      mmap(NULL, GT_PAGE * 16, PROT_READ | PROT_WRITE, flags | MAP_POPULATE, -1, 0);
  CHECK(mincore(populated, GT_PAGE * 16, resident) == 0 && (resident[15] & 1) == 1);
  CHECK(mprotect((void*)0x1000, GT_PAGE, PROT_READ) == -1 && errno == ENOMEM);
  char* const end = sbrk(100 * GT_PAGE);
  CHECK(end != (void*)-1);
  end[99 * GT_PAGE] = 5;
  CHECK(brk(end) == 0 && sbrk(0) == end);
  CHECK(sbrk(100 * GT_PAGE) == end && end[99 * GT_PAGE] == 0);
  return gt_ok();
}
