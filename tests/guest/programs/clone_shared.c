// SPDX-License-Identifier: Apache-2.0
/* clone with CLONE_VM, CLONE_FILES and CLONE_FS shares just that; CLONE_CHILD_CLEARTID wakes a
 * futex. */
#include <fcntl.h>
#include <linux/futex.h>

#include "guest_test.h"

static int memory_word;

static int child_main(void* fd) {
  memory_word = 7;
  return chdir("/proc") == 0 && close(*(int*)fd) == 0 ? 0 : 1;
}

static void run(int flags, bool vm, bool files, bool fs) {
  char where[64];
  char* const stack = gt_map(65536);
  int fd = open("/dev/null", O_RDONLY);
  CHECK(fd >= 0 && chdir("/") == 0);
  memory_word = 0;
  const pid_t child = clone(child_main, stack + 65536, flags | SIGCHLD, &fd);
  CHECK(child > 0);
  gt_wait_exit(child, 0);
  CHECK_EQ(memory_word, vm ? 7 : 0);
  CHECK_EQ(fcntl(fd, F_GETFD) >= 0, !files);
  CHECK(getcwd(where, sizeof where));
  CHECK_EQ(strcmp(where, "/proc") == 0, fs);
  if (!files) close(fd);
  munmap(stack, 65536);
}

static int thread_main(void* unused) {
  memory_word = 9;
  return 0;
}

static void clear_tid(void) {
  static _Atomic pid_t word = 1;
  char* const stack = gt_map(65536);
  const int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
                    CLONE_SYSVSEM | CLONE_CHILD_CLEARTID;
  CHECK(clone(thread_main, stack + 65536, flags, NULL, NULL, NULL, &word) > 0);
  while (word == 1) syscall(SYS_futex, &word, FUTEX_WAIT, 1, NULL, NULL, 0);
  CHECK_EQ(memory_word, 9);
}

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  run(0, false, false, false);
  run(CLONE_VM, true, false, false);
  run(CLONE_FILES, false, true, false);
  run(CLONE_FS, false, false, true);
  run(CLONE_VM | CLONE_FILES | CLONE_FS, true, true, true);
  clear_tid();
  return gt_ok();
}
