// SPDX-License-Identifier: Apache-2.0
#include "vmm/stub/fd_message.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace pando::stub {

bool send_message(int socket, const void* data, size_t bytes, std::span<const int> fds) {
  CHECK(fds.size() <= kMessageFdsMax);
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMessageFdsMax)]{};
  iovec part{const_cast<void*>(data), bytes};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
  }
  for (;;) {
    if (sendmsg(socket, &message, MSG_NOSIGNAL) >= 0) return true;
    if (errno != EINTR) return false;
  }
}

Received receive_message(int socket, void* data, size_t bytes, std::span<UniqueFd> fds) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMessageFdsMax)]{};
  iovec part{data, bytes};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t got = 0;
  do {
    got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got <= 0) return Received::EndOfFile;
  size_t filled = 0;
  for (cmsghdr* h = CMSG_FIRSTHDR(&message); h != nullptr; h = CMSG_NXTHDR(&message, h)) {
    if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof fd);
      UniqueFd owned(fd);
      if (filled < fds.size()) fds[filled++] = std::move(owned);
    }
  }
  return static_cast<size_t>(got) == bytes ? Received::Message : Received::Malformed;
}

}  // namespace pando::stub
