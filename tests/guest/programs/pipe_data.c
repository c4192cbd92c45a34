// SPDX-License-Identifier: Apache-2.0
/* 8 MiB through a pipe in odd pieces arrive unchanged, writer and reader on different CPUs. */
#include "guest_test.h"

enum { kBytes = 8 << 20 };

static uint32_t next(uint32_t* state) {
  return *state = *state * 1664525u + 1013904223u;
}

static void send_all(int fd) {
  static unsigned char data[70000];
  uint32_t state = 1, sizes = 99;
  for (int sent = 0; sent < kBytes;) {
    int count = (int)(next(&sizes) >> 8) % (int)sizeof data + 1;
    if (count > kBytes - sent) count = kBytes - sent;
    for (int i = 0; i < count; i++) data[i] = (unsigned char)(next(&state) >> 24);
    for (int done = 0; done < count;) {
      const ssize_t n = write(fd, data + done, (size_t)(count - done));
      CHECK(n > 0);
      done += (int)n;
    }
    sent += count;
  }
}

static void receive_all(int fd) {
  static unsigned char data[33333];
  uint32_t state = 1;
  int have = 0;
  ssize_t n;
  while ((n = read(fd, data, sizeof data)) > 0) {
    for (ssize_t i = 0; i < n; i++) CHECK_EQ(data[i], (unsigned char)(next(&state) >> 24));
    have += (int)n;
  }
  CHECK_EQ(have, kBytes);
}

int main(int argc, char** argv) {
  int ends[2];
  gt_begin(argc, argv);
  CHECK(pipe(ends) == 0);
  const pid_t child = gt_fork();
  if (child == 0) {
    gt_pin(1);
    close(ends[0]);
    send_all(ends[1]);
    _exit(0);
  }
  gt_pin(0);
  close(ends[1]);
  receive_all(ends[0]);
  gt_wait_exit(child, 0);
  return gt_ok();
}
