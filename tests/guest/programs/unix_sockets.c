// SPDX-License-Identifier: Apache-2.0
/* Unix sockets pass data, credentials and file descriptors between processes on two CPUs. */
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "guest_test.h"

union control {
  struct cmsghdr align;
  char bytes[CMSG_SPACE(sizeof(int))];
};

static void send_fd(int through, int fd) {
  union control control = {0};
  char byte = 'f';
  struct iovec part = {&byte, 1};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  struct cmsghdr* const head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(head), &fd, sizeof fd);
  CHECK(sendmsg(through, &message, 0) == 1);
}

static int receive_fd(int through) {
  union control control;
  char byte;
  int fd;
  struct iovec part = {&byte, 1};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  CHECK(recvmsg(through, &message, 0) == 1 && byte == 'f');
  memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
  return fd;
}

int main(int argc, char** argv) {
  int pair[2], ends[2];
  char text[6] = "";
  struct ucred peer;
  socklen_t size = sizeof peer;
  gt_begin(argc, argv);
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && pipe(ends) == 0);
  CHECK(getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0);
  CHECK_EQ(peer.pid, getpid());
  const pid_t child = gt_fork();
  if (child == 0) {
    gt_pin(1);
    CHECK(write(receive_fd(pair[1]), "hello", 5) == 5);
    _exit(0);
  }
  gt_pin(0);
  send_fd(pair[0], ends[1]);
  CHECK(read(ends[0], text, 5) == 5 && strcmp(text, "hello") == 0);
  gt_wait_exit(child, 0);
  return gt_ok();
}
