// SPDX-License-Identifier: Apache-2.0
/* A pseudo terminal: echo, line editing, window size, and ^C as SIGINT for the foreground process
 * group. */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "guest_test.h"

static void expect(int master, const char* wanted) {
  char text[128];
  size_t have = 0;
  while (have < strlen(wanted)) {
    const ssize_t n = read(master, text + have, strlen(wanted) - have);
    CHECK(n > 0);
    have += (size_t)n;
  }
  CHECK(memcmp(text, wanted, have) == 0);
}

static void child_main(const char* name) {
  struct winsize size;
  char line[64];
  CHECK(setsid() > 0);
  const int tty = open(name, O_RDWR);
  CHECK(tty >= 0 && ioctl(tty, TIOCGWINSZ, &size) == 0 && size.ws_row == 33);
  CHECK_EQ(tcgetpgrp(tty), getpid());
  CHECK_EQ(read(tty, line, sizeof line), 3);
  CHECK(memcmp(line, "ok\n", 3) == 0);
  CHECK(write(tty, "ready\n", 6) == 6);
  for (;;) pause();
}

int main(int argc, char** argv) {
  const struct winsize size = {.ws_row = 33, .ws_col = 100};
  gt_begin(argc, argv);
  const int master = posix_openpt(O_RDWR | O_NOCTTY);
  CHECK(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
  CHECK(ioctl(master, TIOCSWINSZ, &size) == 0);
  const pid_t child = gt_fork();
  if (child == 0) child_main(ptsname(master));
  CHECK(write(master, "nox\177\177\177ok\n", 9) == 9);
  expect(master, "nox\b \b\b \b\b \bok\r\nready\r\n");
  CHECK(write(master, "\003", 1) == 1);
  gt_wait_signal(child, SIGINT);
  return gt_ok();
}
