// SPDX-License-Identifier: Apache-2.0
/* After mprotect(PROT_READ) returned, no other CPU's store lands any more; its SIGSEGV shows the
 * protection. */
#include <setjmp.h>

#include "guest_test.h"

enum { kRounds = 200 };
static volatile long* page;
static atomic_bool done;
static __thread sigjmp_buf back;
static atomic_long faults, stores;

static void handler(int signal_number, siginfo_t* info, void* context) {
  CHECK_EQ(info->si_code, SEGV_ACCERR);
  CHECK(info->si_addr == (void*)page);
  faults++;
  siglongjmp(back, 1);
}

static void writer(void) {
  while (!done) {
    if (sigsetjmp(back, 1)) sched_yield();
    for (int i = 0; i < 1000 && !done; i++) {
      (*page)++;
      stores++;
    }
  }
}

static void body(int index) {
  if (index > 0) return writer();
  for (int round = 0; round < kRounds; round++) {
    const long before = stores;
    CHECK(mprotect((void*)page, GT_PAGE, PROT_READ) == 0);
    const long first = *page;
    for (int i = 0; i < 2000; i++) CHECK_EQ(*page, first);
    CHECK(mprotect((void*)page, GT_PAGE, PROT_READ | PROT_WRITE) == 0);
    while (stores == before) sched_yield();
  }
  done = true;
}

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  gt_on_signal(SIGSEGV, handler, 0);
  page = gt_map(GT_PAGE);
  gt_threads(gt_cpus() > 1 ? gt_cpus() : 2, body);
  return gt_ok();
}
