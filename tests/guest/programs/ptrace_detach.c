// SPDX-License-Identifier: Apache-2.0
/* PTRACE_ATTACH stops a running thread, its memory stands still, PTRACE_DETACH lets it go on; 20
 * times. */
#include <sys/ptrace.h>

#include "guest_test.h"

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  volatile long* const counter = gt_map_shared(GT_PAGE);
  const pid_t child = gt_fork();
  if (child == 0) {
    gt_pin(1);
    for (;;) (*counter)++;
  }
  gt_pin(0);
  for (int round = 0; round < 20; round++) {
    const long before = *counter;
    while (*counter == before) sched_yield();
    CHECK(ptrace(PTRACE_ATTACH, child, 0, 0) == 0);
    const int status = gt_wait(child);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    const long stopped = *counter;
    for (int i = 0; i < 20; i++) {
      sched_yield();
      CHECK_EQ(*counter, stopped);
    }
    CHECK(ptrace(PTRACE_DETACH, child, 0, 0) == 0);
  }
  CHECK(kill(child, SIGKILL) == 0);
  gt_wait_signal(child, SIGKILL);
  return gt_ok();
}
