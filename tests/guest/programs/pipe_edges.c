// SPDX-License-Identifier: Apache-2.0
/* End of file, SIGPIPE, EPIPE, full and empty non-blocking pipes, bad buffers. */
#include <fcntl.h>

#include "guest_test.h"

int main(int argc, char** argv) {
  int ends[2];
  char byte = 'x';
  static char block[65536];
  gt_begin(argc, argv);
  CHECK(pipe2(ends, O_NONBLOCK) == 0);
  CHECK(read(ends[0], &byte, 1) == -1 && errno == EAGAIN);
  CHECK(fcntl(ends[1], F_GETPIPE_SZ) == 65536);
  CHECK(write(ends[1], block, sizeof block) == sizeof block);
  CHECK(write(ends[1], &byte, 1) == -1 && errno == EAGAIN);
  CHECK(read(ends[0], (void*)8, 100) == -1 && errno == EFAULT);
  CHECK(read(ends[0], block, sizeof block) == sizeof block);
  CHECK(write(ends[1], (void*)8, 1) == -1 && errno == EFAULT);
  char* const two = gt_map(2 * GT_PAGE);
  CHECK(munmap(two + GT_PAGE, GT_PAGE) == 0);
  CHECK(write(ends[1], two + GT_PAGE - 10, 20) <= 10);
  close(ends[1]);
  CHECK(read(ends[0], block, sizeof block) <= 10);
  CHECK(read(ends[0], &byte, 1) == 0);
  close(ends[0]);
  CHECK(pipe(ends) == 0);
  close(ends[0]);
  const pid_t child = gt_fork();
  if (child == 0) {
    write(ends[1], &byte, 1);
    _exit(0);
  }
  gt_wait_signal(child, SIGPIPE);
  signal(SIGPIPE, SIG_IGN);
  CHECK(write(ends[1], &byte, 1) == -1 && errno == EPIPE);
  return gt_ok();
}
