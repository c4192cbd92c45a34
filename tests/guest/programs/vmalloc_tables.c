// SPDX-License-Identifier: Apache-2.0
/* Kernel objects that live in vmalloc memory: huge descriptor tables copied by fork, big pipes,
 * many stacks. */
#include <fcntl.h>
#include <sys/resource.h>

#include "guest_test.h"

static void body(int index) {
  for (int round = 0; round < 5; round++) {
    const int high = 65000 + round;
    CHECK_EQ(dup2(1, high), high);
    const pid_t child = gt_fork();
    if (child == 0) _exit(fcntl(high, F_GETFD) >= 0 && fcntl(high - 1, F_GETFD) < 0 ? 0 : 1);
    gt_wait_exit(child, 0);
    CHECK(close(high) == 0);
    int ends[2];
    CHECK(pipe(ends) == 0 && fcntl(ends[1], F_SETPIPE_SZ, 1 << 20) == 1 << 20);
    close(ends[0]), close(ends[1]);
  }
}

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  const struct rlimit many = {70000, 70000};
  if (setrlimit(RLIMIT_NOFILE, &many) != 0) gt_skip("needs 70000 open files");
  gt_processes(gt_cpus(), body);
  return gt_ok();
}
