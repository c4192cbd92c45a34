// SPDX-License-Identifier: Apache-2.0
/* wait family: exit codes, signals, stop and continue, WNOHANG, WNOWAIT, ECHILD. */
#include "guest_test.h"

static void expect(pid_t child, int options, int code, int status) {
  siginfo_t info = {0};
  CHECK(waitid(P_PID, (id_t)child, &info, options) == 0);
  CHECK_EQ(info.si_pid, child);
  CHECK_EQ(info.si_code, code);
  CHECK_EQ(info.si_status, status);
}

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  pid_t child = gt_fork();
  if (child == 0) {
    raise(SIGSTOP);
    _exit(200);
  }
  expect(child, WSTOPPED, CLD_STOPPED, SIGSTOP);
  CHECK_EQ(waitpid(child, NULL, WNOHANG), 0);
  CHECK(kill(child, SIGCONT) == 0);
  expect(child, WEXITED | WNOWAIT, CLD_EXITED, 200);
  expect(child, WEXITED, CLD_EXITED, 200);
  CHECK(waitpid(child, NULL, 0) == -1 && errno == ECHILD);
  child = gt_fork();
  if (child == 0)
    for (;;) pause();
  CHECK(kill(child, SIGSTOP) == 0);
  expect(child, WSTOPPED, CLD_STOPPED, SIGSTOP);
  CHECK(kill(child, SIGCONT) == 0);
  expect(child, WCONTINUED, CLD_CONTINUED, SIGCONT);
  CHECK(kill(child, SIGKILL) == 0);
  expect(child, WEXITED, CLD_KILLED, SIGKILL);
  return gt_ok();
}
