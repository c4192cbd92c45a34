// SPDX-License-Identifier: Apache-2.0
/* 1 MiB over TCP on lo arrives unchanged. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "guest_test.h"

enum { kWords = 1 << 18 };

static void client(const struct sockaddr_in* address) {
  static uint32_t data[kWords];
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  gt_pin(1);
  CHECK(connect(fd, (const struct sockaddr*)address, sizeof *address) == 0);
  for (uint32_t i = 0; i < kWords; i++) data[i] = i * 2654435761u;
  for (size_t done = 0; done < sizeof data;) {
    const ssize_t n = send(fd, (char*)data + done, sizeof data - done, 0);
    CHECK(n > 0);
    done += (size_t)n;
  }
  _exit(0);
}

int main(int argc, char** argv) {
  static uint32_t data[kWords];
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;
  gt_begin(argc, argv);
  const int server = socket(AF_INET, SOCK_STREAM, 0);
  if (server < 0 && errno == EAFNOSUPPORT) gt_skip("kernel without IPv4");
  CHECK(bind(server, (struct sockaddr*)&address, sizeof address) == 0 && listen(server, 1) == 0);
  CHECK(getsockname(server, (struct sockaddr*)&address, &size) == 0);
  const pid_t child = gt_fork();
  if (child == 0) client(&address);
  gt_pin(0);
  const int fd = accept(server, NULL, NULL);
  CHECK(fd >= 0 && recv(fd, data, sizeof data, MSG_WAITALL) == sizeof data);
  for (uint32_t i = 0; i < kWords; i++) CHECK_EQ(data[i], i * 2654435761u);
  CHECK(recv(fd, data, 1, 0) == 0);
  gt_wait_exit(child, 0);
  return gt_ok();
}
