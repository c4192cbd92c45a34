// SPDX-License-Identifier: Apache-2.0
/* Failed execve calls return the right error and leave the process as it was; a script finds its
 * interpreter. */
#include <fcntl.h>
#include <sys/stat.h>

#include "guest_test.h"

static void expect_error(const char* path, int error) {
  char* const argv[] = {(char*)path, NULL};
  char* const none[] = {NULL};
  CHECK_EQ(execve(path, argv, none), -1);
  CHECK_EQ(errno, error);
}

static void put(const char* path, const char* text, mode_t mode) {
  const int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, mode);
  CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
  CHECK(fchmod(fd, mode) == 0 && close(fd) == 0);
}

int main(int argc, char** argv) {
  char script[64];
  gt_begin(argc, argv);
  snprintf(script, sizeof script, "/tmp/exec_errors.%d", getpid());
  expect_error("/no/such/program", ENOENT);
  expect_error("/tmp", EACCES);
  put(script, "\177ELF but not really", 0755);
  expect_error(script, ENOEXEC);
  put(script, "#!/no/such/interpreter\n", 0755);
  expect_error(script, ENOENT);
  put(script, "#!/bin/sh\nexit 9\n", 0755);
  const pid_t child = gt_fork();
  if (child == 0) execl(script, script, (char*)NULL), _exit(126);
  gt_wait_exit(child, 9);
  unlink(script);
  return gt_ok();
}
