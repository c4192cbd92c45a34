// SPDX-License-Identifier: Apache-2.0
/* clone3 with a pidfd, thread id words and its own exit signal; pidfd_send_signal and poll on the
 * pidfd. */
#include <linux/sched.h>
#include <poll.h>

#include "guest_test.h"

static pid_t clone3(struct clone_args* arguments) {
  return (pid_t)syscall(SYS_clone3, arguments, sizeof *arguments);
}

int main(int argc, char** argv) {
  int pidfd = -1;
  pid_t parent_word = 0;
  pid_t* const child_word = gt_map_shared(GT_PAGE);
  gt_begin(argc, argv);
  struct clone_args arguments = {
      .flags = CLONE_PIDFD | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID,
      .pidfd = (uintptr_t)&pidfd,
      .parent_tid = (uintptr_t)&parent_word,
      .child_tid = (uintptr_t)child_word,
      .exit_signal = SIGUSR1,
  };
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
  const pid_t child = clone3(&arguments);
  if (child == 0) {
    for (;;) pause();
  }
  CHECK(child > 0 && pidfd >= 0);
  CHECK_EQ(parent_word, child);
  struct pollfd poll_one = {.fd = pidfd, .events = POLLIN};
  CHECK_EQ(poll(&poll_one, 1, 0), 0);
  CHECK(syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0) == 0);
  CHECK_EQ(poll(&poll_one, 1, 10000), 1);
  siginfo_t info;
  CHECK_EQ(sigwaitinfo(&set, &info), SIGUSR1);
  CHECK_EQ(info.si_pid, child);
  int status;
  CHECK_EQ(waitpid(child, &status, __WALL), child);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
  CHECK_EQ(*child_word, child);
  arguments.flags = 1ull << 63;
  CHECK(clone3(&arguments) == -1 && errno == EINVAL);
  return gt_ok();
}
