// SPDX-License-Identifier: Apache-2.0
/* A child that eats all memory is killed by the kernel, and the machine goes on. Not on machines
 * above 4 GiB. */
#include <sys/sysinfo.h>

#include "guest_test.h"

static void eat(void) {
  FILE* const score = fopen("/proc/self/oom_score_adj", "w");
  if (score) fputs("1000", score), fclose(score);
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_POPULATE;
  for (;;)
    if (mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED) _exit(3);
}

int main(int argc, char** argv) {
  struct sysinfo info;
  gt_begin(argc, argv);
  CHECK(sysinfo(&info) == 0);
  if ((info.totalram + info.totalswap) * info.mem_unit > 4ul << 30)
    gt_skip("machine with more than 4 GiB");
  for (int round = 0; round < 2; round++) {
    const pid_t child = gt_fork();
    if (child == 0) eat();
    gt_wait_signal(child, SIGKILL);
    char* const at = gt_map(16 << 20);
    memset(at, 1, 16 << 20);
    CHECK(munmap(at, 16 << 20) == 0);
  }
  return gt_ok();
}
