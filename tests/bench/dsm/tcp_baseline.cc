// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/dsm/tcp_baseline.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/prctl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>

#include "base/error.h"
#include "base/unique_fd.h"

namespace pando::bench {

namespace {

using Clock = std::chrono::steady_clock;

bool move_all(int fd, uint8_t* bytes, size_t count, bool out) {
  for (size_t done = 0; done < count;) {
    const ssize_t n = out ? send(fd, bytes + done, count - done, MSG_NOSIGNAL) : recv(fd, bytes + done, count - done, 0);
    if (n <= 0) return false;
    done += static_cast<size_t>(n);
  }
  return true;
}

void no_delay(int fd) {
  const int one = 1;
  check_errno(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), "TCP_NODELAY");
}

// Runs `server` on the accepted end in a child process, `client` here.
void with_connection(const std::function<void(int)>& server, const std::function<void(int)>& client) {
  const UniqueFd listener(static_cast<int>(check_errno(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  check_errno(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), "bind");
  check_errno(listen(listener.get(), 1), "listen");
  check_errno(getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length), "getsockname");
  const pid_t child = static_cast<pid_t>(check_errno(fork(), "fork"));
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const UniqueFd end(accept(listener.get(), nullptr, nullptr));
    no_delay(end.get());
    server(end.get());
    _exit(0);
  }
  {
    const UniqueFd end(static_cast<int>(check_errno(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")));
    check_errno(connect(end.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), "connect");
    no_delay(end.get());
    client(end.get());
  }
  waitpid(child, nullptr, 0);
}

}  // namespace

std::vector<uint64_t> tcp_round_trips(int count) {
  std::vector<uint64_t> result;
  std::vector<uint8_t> small(16), page(4096);
  with_connection(
      [&](int fd) {
        while (move_all(fd, small.data(), small.size(), false) && move_all(fd, page.data(), page.size(), true)) {
        }
      },
      [&](int fd) {
        for (int i = 0; i < count; ++i) {
          const auto begun = Clock::now();
          if (!move_all(fd, small.data(), small.size(), true) || !move_all(fd, page.data(), page.size(), false)) break;
          result.push_back(static_cast<uint64_t>((Clock::now() - begun).count()));
        }
      });
  return result;
}

double tcp_stream_bytes_per_second(uint64_t bytes) {
  std::vector<uint8_t> block(64 << 10);
  double seconds = 0;
  with_connection(
      [&](int fd) {
        for (uint64_t done = 0; done < bytes && move_all(fd, block.data(), block.size(), true);) done += block.size();
      },
      [&](int fd) {
        const auto begun = Clock::now();
        for (uint64_t done = 0; done < bytes && move_all(fd, block.data(), block.size(), false);) done += block.size();
        seconds = std::chrono::duration<double>(Clock::now() - begun).count();
      });
  return static_cast<double>(bytes) / seconds;
}

}  // namespace pando::bench
