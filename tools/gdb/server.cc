// SPDX-License-Identifier: Apache-2.0
#include "tools/gdb/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "base/error.h"
#include "base/log.h"
#include "tools/gdb/packet.h"

namespace pando::gdb {

namespace {

constexpr size_t kOutputMax = 1 << 20;  // no more is read from a debugger that does not take its answers
constexpr size_t kInputPiece = 4096;
constexpr int kRefusalWaitMs = 300;

UniqueFd new_socket(int family) {
  return UniqueFd(static_cast<int>(
      check_errno(socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket")));
}

}  // namespace

Server::Server(DebugTarget& target, int target_event_fd, const ListenOptions& listen)
    : target_(target), target_event_fd_(target_event_fd) {
  if (listen.where.starts_with("/"))
    listen_unix(listen.where);
  else
    listen_tcp(listen.where, listen.anywhere);
}

Server::~Server() {
  end_session();
  if (!unlink_path_.empty()) unlink(unlink_path_.c_str());
}

void Server::listen_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw UserError("the socket's path is too long: " + path);
  std::memcpy(address.sun_path, path.c_str(), path.size());
  listener_ = new_socket(AF_UNIX);
  // For its owner alone from the first moment on.
  const mode_t before = umask(0077);
  const int bound = bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  umask(before);
  if (bound != 0) throw UserError("cannot listen on " + path + ": " + std::strerror(errno));
  unlink_path_ = address_ = path;
  check_errno(::listen(listener_.get(), 4), "listen");
}

void Server::listen_tcp(const std::string& where, bool anywhere) {
  const size_t colon = where.rfind(':');
  sockaddr_in address{};
  address.sin_family = AF_INET;
  const std::string host = colon == 0 || colon == std::string::npos ? "127.0.0.1" : where.substr(0, colon);
  const std::string port = colon == std::string::npos ? where : where.substr(colon + 1);
  char* end = nullptr;
  const unsigned long number = std::strtoul(port.c_str(), &end, 10);
  if (port.empty() || *end != '\0' || number > UINT16_MAX || inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1)
    throw UserError("\"" + where + "\" is no address to listen on: give ADDRESS:PORT or the path of a socket");
  if (!anywhere && ntohl(address.sin_addr.s_addr) >> 24 != 127)
    throw UserError("a debugger can do everything with the guest: " + host +
                    " is not loopback; add --anywhere if that is what you want");
  address.sin_port = htons(static_cast<uint16_t>(number));
  listener_ = new_socket(AF_INET);
  const int yes = 1;
  setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    throw UserError("cannot listen on " + where + ": " + std::strerror(errno));
  check_errno(::listen(listener_.get(), 4), "listen");
  socklen_t bytes = sizeof address;
  check_errno(getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &bytes), "getsockname");
  address_ = host + ":" + std::to_string(ntohs(address.sin_port));
}

void Server::run(int until_fd) {
  for (;;) {
    const bool take_input = session_ && output_.size() < kOutputMax;
    const short wanted = static_cast<short>((take_input ? POLLIN : 0) | (output_.empty() ? 0 : POLLOUT));
    pollfd fds[] = {{listener_.get(), POLLIN, 0},
                    {session_ ? connection_.get() : -1, wanted, 0},
                    {target_event_fd_, POLLIN, 0},
                    {until_fd, POLLIN, 0}};
    if (poll(fds, std::size(fds), -1) < 0 && errno != EINTR) throw HostError("poll", errno);
    if (fds[3].revents) break;
    if (fds[2].revents) {
      if (session_)
        session_->on_target_event();
      else
        target_.take_stop();
    }
    if (session_ && (fds[1].revents & POLLOUT)) on_writable();
    if (session_ && (fds[1].revents & (POLLIN | POLLHUP | POLLERR))) on_input();
    if (fds[0].revents) on_connection();
    if (session_ && session_->state() == Session::State::Over) {
      on_writable();
      end_session();
    }
  }
  end_session();
}

void Server::on_connection() {
  UniqueFd connection(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!connection) return;  // it went away again
  if (session_) return refuse(std::move(connection), "another debugger is attached: detach it first");
  std::optional<StopEvent> first;
  std::string why = "the cluster does not answer";
  try {
    first = target_.attach();
  } catch (const UserError& error) {
    why = error.what();
  }
  if (!first) return refuse(std::move(connection), why);
  const int yes = 1;
  setsockopt(connection.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  connection_ = std::move(connection);
  output_.clear();
  session_ = std::make_unique<Session>(target_, *first, [this](std::string_view bytes) { output_ += bytes; });
}

// In place of the first answer: GDB shows the text.
void Server::refuse(UniqueFd connection, const std::string& sentence) {
  // After its first packet: what is sent before, or closed with something unread, GDB does not show.
  std::string heard;
  pollfd ready{connection.get(), POLLIN, 0};
  char bytes[256];
  while (heard.size() < kPacketMax && heard.find('#') == std::string::npos && poll(&ready, 1, kRefusalWaitMs) == 1) {
    const ssize_t got = recv(connection.get(), bytes, sizeof bytes, 0);
    if (got <= 0) break;
    heard.append(bytes, static_cast<size_t>(got));
  }
  const std::string text = "+" + encode_packet("E." + sentence);
  (void)!send(connection.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  shutdown(connection.get(), SHUT_WR);
  spdlog::warn("debugger-refused reason=\"{}\"", sentence);
}

void Server::on_input() {
  char bytes[kInputPiece];
  const ssize_t got = recv(connection_.get(), bytes, sizeof bytes, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return end_session();
  session_->on_bytes({bytes, static_cast<size_t>(got)});
  on_writable();
}

void Server::on_writable() {
  while (!output_.empty()) {
    const ssize_t sent = send(connection_.get(), output_.data(), output_.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return;  // EAGAIN: later; others are seen when reading
    output_.erase(0, static_cast<size_t>(sent));
  }
}

// A debugger that just hangs up is as good as one that detaches.
void Server::end_session() {
  if (!session_) return;
  if (session_->state() != Session::State::Over) target_.detach();
  session_.reset();
  connection_.reset();
  output_.clear();
}

}  // namespace pando::gdb
