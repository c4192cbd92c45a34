// SPDX-License-Identifier: Apache-2.0
/* Other CPUs read a page while it is unmapped: they see its content or SIGSEGV, and after munmap
 * only SIGSEGV. */
#include <setjmp.h>

#include "guest_test.h"

enum { kRounds = 150 };
static volatile char* page;
static atomic_int phase; /* odd: perhaps there; even: gone */
static atomic_bool done;
static __thread sigjmp_buf back;

static void handler(int signal_number, siginfo_t* info, void* context) {
  if (info->si_code != SEGV_MAPERR) gt_fail(__FILE__, __LINE__, "si_code %d", info->si_code);
  siglongjmp(back, 1);
}

static void reader(void) {
  volatile int before = 0;
  while (!done) {
    if (sigsetjmp(back, 1)) sched_yield();
    for (int i = 0; i < 1000 && !done; i++) {
      before = phase;
      const char seen = *page;
      CHECK_EQ(seen, 'p');
      if (before % 2 == 0) CHECK(phase != before); /* gone all the time: cannot be read */
    }
  }
}

static void body(int index) {
  if (index > 0) return reader();
  for (int round = 0; round < kRounds; round++) {
    char* const fresh = gt_map(GT_PAGE);
    fresh[0] = 'p';
    atomic_fetch_add(&phase, 1);
    CHECK(mremap(fresh, GT_PAGE, GT_PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, page) == page);
    for (int i = 0; i < 300; i++) CHECK_EQ(*page, 'p');
    CHECK(munmap((void*)page, GT_PAGE) == 0);
    atomic_fetch_add(&phase, 1);
    sched_yield();
  }
  done = true;
}

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  gt_on_signal(SIGSEGV, handler, 0);
  page = (volatile char*)0x200000000000; /* where nothing else is ever mapped */
  gt_threads(gt_cpus() > 1 ? gt_cpus() : 2, body);
  return gt_ok();
}
