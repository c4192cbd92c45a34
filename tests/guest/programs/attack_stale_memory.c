// SPDX-License-Identifier: Apache-2.0
/* Memory of a process that ended is neither visible at its addresses in the next one, nor in fresh
 * pages. */
#include <setjmp.h>

#include "hostile.h"

static const uint64_t kSecret = 0x5ec3e75ec3e75ec3;
enum { kPages = 64 };
static char* const place = (char*)0x300000000000;
static sigjmp_buf back;

static void handler(int signal_number, siginfo_t* info, void* context) {
  siglongjmp(back, 1);
}

static void keep_secret(uint64_t unused) {
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  if (mmap(place, kPages * GT_PAGE, PROT_READ | PROT_WRITE, flags, -1, 0) != place) _exit(1);
  for (int i = 0; i < kPages; i++) *(uint64_t*)(place + i * GT_PAGE) = kSecret;
  raise(SIGKILL);
}

static void look_for_it(uint64_t unused) {
  gt_on_signal(SIGSEGV, handler, SA_NODEFER);
  for (volatile int i = 0; i < kPages; i++)
    if (sigsetjmp(back, 1) == 0) {
      (void)*(volatile char*)(place + i * GT_PAGE);
      _exit(99);
    }
  uint64_t* const fresh = gt_map(kPages * GT_PAGE);
  for (int i = 0; i < kPages * GT_PAGE / 8; i++)
    if (fresh[i] != 0) _exit(98);
}

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  for (int round = 0; round < 15; round++) {
    gt_attack(keep_secret, (uint64_t)round);
    const int status = gt_attack(look_for_it, (uint64_t)round);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
  }
  return gt_ok();
}
