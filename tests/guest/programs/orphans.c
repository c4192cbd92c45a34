// SPDX-License-Identifier: Apache-2.0
/* Orphans go to the nearest subreaper; a dying parent sends PR_SET_PDEATHSIG. */
#include <sys/prctl.h>

#include "guest_test.h"

static void make_orphan(int write_end) {
  const pid_t child = gt_fork();
  if (child != 0) _exit(0);
  const pid_t self = getpid();
  CHECK(write(write_end, &self, sizeof self) == sizeof self);
  _exit(44);
}

int main(int argc, char** argv) {
  int ends[2];
  pid_t orphan;
  gt_begin(argc, argv);
  CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0 && pipe(ends) == 0);
  const pid_t middle = gt_fork();
  if (middle == 0) make_orphan(ends[1]);
  gt_wait_exit(middle, 0);
  CHECK(read(ends[0], &orphan, sizeof orphan) == sizeof orphan);
  gt_wait_exit(orphan, 44);

  const pid_t parent = gt_fork();
  if (parent == 0) {
    const pid_t child = gt_fork();
    if (child == 0) {
      const pid_t self = getpid();
      CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
      CHECK(write(ends[1], &self, sizeof self) == sizeof self);
      for (;;) pause();
    }
    for (;;) pause();
  }
  CHECK(read(ends[0], &orphan, sizeof orphan) == sizeof orphan);
  CHECK(kill(parent, SIGKILL) == 0);
  gt_wait_signal(parent, SIGKILL);
  gt_wait_signal(orphan, SIGKILL);
  return gt_ok();
}
