// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "dsm/rpc/direct_link.h"

namespace pando::dsm {

namespace {

constexpr size_t kStrangersMax = 64;
constexpr int64_t kTicketLimitNs = 2'000'000'000;
constexpr int kConnectLimitMs = 5'000;

struct FreeAddresses {
  void operator()(addrinfo* a) const { freeaddrinfo(a); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

// "1.2.3.4:5", "[::1]:5", "name:5"
std::string host_of(const std::string& address) {
  std::string host = address.substr(0, address.rfind(':'));
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  return host;
}

Addresses resolve(const std::string& host, uint16_t port, int flags) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0 || !found)
    throw HostError("finding the address of " + host, EADDRNOTAVAIL);
  return Addresses(found);
}

uint16_t port_of(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  check_errno(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length), "getsockname");
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(address).sin6_port
                                             : reinterpret_cast<sockaddr_in&>(address).sin_port);
}

}  // namespace

UniqueFd connect_direct(const std::string& address, uint16_t port, const std::string& ticket) {
  const Addresses to = resolve(host_of(address), port, 0);
  const std::string what = "connecting to the page port " + std::to_string(port) + " of " + host_of(address) +
                           " (is a firewall between? the switch direct = false does without it)";
  UniqueFd fd(static_cast<int>(check_errno(socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket")));
  if (connect(fd.get(), to->ai_addr, to->ai_addrlen) != 0) {
    if (errno != EINPROGRESS) throw HostError(what, errno);
    pollfd p{fd.get(), POLLOUT, 0};
    if (poll(&p, 1, kConnectLimitMs) <= 0) throw HostError(what, ETIMEDOUT);
    int error = 0;
    socklen_t length = sizeof error;
    check_errno(getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &length), "SO_ERROR");
    if (error != 0) throw HostError(what, error);
  }
  // A new connection takes these few bytes at once.
  if (send(fd.get(), ticket.data(), ticket.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(ticket.size()))
    throw HostError(what, EIO);
  const int flags = static_cast<int>(check_errno(fcntl(fd.get(), F_GETFL), "F_GETFL"));
  check_errno(fcntl(fd.get(), F_SETFL, flags & ~O_NONBLOCK), "F_SETFL");
  return fd;
}

DirectListener::DirectListener(const std::string& address, Arrived arrived) : arrived_(std::move(arrived)) {
  const Addresses at = resolve(host_of(address), 0, AI_PASSIVE);
  listener_.reset(static_cast<int>(
      check_errno(socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket for direct links")));
  check_errno(bind(listener_.get(), at->ai_addr, at->ai_addrlen), "bind for direct links");
  check_errno(listen(listener_.get(), 64), "listen for direct links");
  port_ = port_of(listener_.get());
  wake_.reset(static_cast<int>(check_errno(eventfd(0, EFD_CLOEXEC), "eventfd")));
  thread_ = std::thread([this] { run(); });
  pthread_setname_np(thread_.native_handle(), "direct-accept");
}

void DirectListener::stop() {
  if (stopping_.exchange(true)) return;
  const uint64_t one = 1;
  (void)!write(wake_.get(), &one, sizeof one);
  if (thread_.joinable()) thread_.join();
}

std::string DirectListener::expect(NodeId peer, PeerStream stream) {
  std::string ticket = random_bytes(kTicketBytes);
  const std::lock_guard guard(mutex_);
  tickets_.push_back({ticket, peer, stream});
  return ticket;
}

void DirectListener::run() {
  std::vector<Stranger> strangers;
  while (!stopping_) {
    std::vector<pollfd> fds{{wake_.get(), POLLIN, 0}, {strangers.size() < kStrangersMax ? listener_.get() : -1, POLLIN, 0}};
    for (const Stranger& s : strangers) fds.push_back({s.fd.get(), POLLIN, 0});
    if (poll(fds.data(), fds.size(), strangers.empty() ? -1 : 100) < 0 && errno != EINTR) return;
    std::erase_if(strangers, [this](Stranger& s) { return !hear(s); });
    if (fds[1].revents & POLLIN) greet(strangers);
  }
}

void DirectListener::greet(std::vector<Stranger>& strangers) {
  UniqueFd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (fd.valid()) strangers.push_back({std::move(fd), monotonic_now_ns() + kTicketLimitNs, {}});
}

bool DirectListener::hear(Stranger& s) {
  char bytes[kTicketBytes];
  const ssize_t n = recv(s.fd.get(), bytes, kTicketBytes - s.said.size(), MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return monotonic_now_ns() < s.give_up_ns;
  if (n <= 0) return false;
  s.said.append(bytes, static_cast<size_t>(n));
  if (s.said.size() < kTicketBytes) return true;
  Ticket ticket;
  {
    const std::lock_guard guard(mutex_);
    const auto found = std::ranges::find_if(
        tickets_, [&](const Ticket& t) { return CRYPTO_memcmp(t.bytes.data(), s.said.data(), kTicketBytes) == 0; });
    if (found == tickets_.end()) return false;
    ticket = *found;
    tickets_.erase(found);
  }
  arrived_(ticket.peer, ticket.stream, std::move(s.fd));
  return false;
}

}  // namespace pando::dsm
