// SPDX-License-Identifier: Apache-2.0
/* Seizing a process that spins on another CPU; interrupt, events for fork, clone, exec and exit;
 * detach. */
#include <sys/ptrace.h>

#include "guest_test.h"

static volatile int* go;

static void* thread_main(void* unused) {
  return NULL;
}

static void traced(void) {
  pthread_t thread;
  gt_pin(1);
  while (!*go) __builtin_ia32_pause();
  const pid_t child = gt_fork();
  if (child == 0) _exit(3);
  gt_wait_exit(child, 3);
  CHECK(pthread_create(&thread, NULL, thread_main, NULL) == 0 && pthread_join(thread, NULL) == 0);
  execl("/proc/self/exe", "ptrace_attach", "--exit", (char*)NULL);
  _exit(126);
}

int main(int argc, char** argv) {
  int events[8] = {0}, live = 1;
  const long options =
      PTRACE_O_TRACEFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT;
  gt_begin(argc, argv);
  if (gt_argc) return 77 - 5;
  go = gt_map_shared(GT_PAGE);
  const pid_t child = gt_fork();
  if (child == 0) traced();
  CHECK(ptrace(PTRACE_SEIZE, child, 0, options) == 0);
  CHECK(ptrace(PTRACE_INTERRUPT, child, 0, 0) == 0);
  int status = gt_wait(child);
  CHECK(status >> 8 == (SIGTRAP | PTRACE_EVENT_STOP << 8));
  CHECK(ptrace(PTRACE_CONT, child, 0, 0) == 0);
  *go = 1;
  while (live > 0) {
    const pid_t pid = waitpid(-1, &status, __WALL);
    CHECK(pid > 0);
    if (WIFEXITED(status)) {
      if (pid == child) CHECK_EQ(WEXITSTATUS(status), 72);
      live--;
      continue;
    }
    CHECK(WIFSTOPPED(status));
    const int event = status >> 16;
    if (event > 0 && event < 8) events[event]++;
    live += event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_CLONE;
    const long deliver = event == 0 ? WSTOPSIG(status) : 0;
    CHECK(ptrace(PTRACE_CONT, pid, 0, deliver) == 0);
  }
  CHECK_EQ(events[PTRACE_EVENT_FORK], 1);
  CHECK_EQ(events[PTRACE_EVENT_CLONE], 1);
  CHECK_EQ(events[PTRACE_EVENT_EXEC], 1);
  CHECK_EQ(events[PTRACE_EVENT_EXIT], 3);
  return gt_ok();
}
