// SPDX-License-Identifier: Apache-2.0
/* epoll reports eventfd, timerfd, signalfd and pipe; poll and select keep their time-outs. */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include "guest_test.h"

static int epoll_fd;

static void add(int fd) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  CHECK(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0);
}

static void expect(int fd, size_t bytes) {
  char data[256];
  struct epoll_event event;
  CHECK_EQ(epoll_wait(epoll_fd, &event, 1, 5000), 1);
  CHECK_EQ(event.data.fd, fd);
  CHECK_EQ(read(fd, data, sizeof data), bytes);
}

int main(int argc, char** argv) {
  int ends[2];
  sigset_t set;
  const struct itimerspec soon = {.it_value = {0, 3000000}};
  gt_begin(argc, argv);
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_BLOCK, &set, NULL);
  CHECK((epoll_fd = epoll_create1(0)) >= 0 && pipe(ends) == 0);
  const int event = eventfd(0, 0), timer = timerfd_create(CLOCK_MONOTONIC, 0);
  const int signals = signalfd(-1, &set, 0);
  add(event), add(timer), add(signals), add(ends[0]);
  CHECK(eventfd_write(event, 5) == 0);
  expect(event, 8);
  CHECK(timerfd_settime(timer, 0, &soon, NULL) == 0);
  expect(timer, 8);
  CHECK(kill(getpid(), SIGUSR1) == 0);
  expect(signals, sizeof(struct signalfd_siginfo));
  CHECK(write(ends[1], "ab", 2) == 2);
  expect(ends[0], 2);
  uint64_t begin = gt_now_ns();
  struct pollfd one = {.fd = ends[0], .events = POLLIN};
  CHECK_EQ(poll(&one, 1, 20), 0);
  CHECK(gt_now_ns() - begin >= 20000000);
  begin = gt_now_ns();
  struct timeval limit = {0, 20000};
  CHECK_EQ(select(0, NULL, NULL, NULL, &limit), 0);
  CHECK(gt_now_ns() - begin >= 20000000);
  return gt_ok();
}
