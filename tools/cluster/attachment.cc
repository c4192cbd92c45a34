// SPDX-License-Identifier: Apache-2.0
#include "tools/cluster/attachment.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "base/error.h"

namespace pando::cluster {
namespace {

constexpr size_t kBufferMax = 64 << 20;  // output that the user has not taken yet
constexpr size_t kInputPiece = 4096;
constexpr char kControlBracket = 0x1d;

// Waits out a full pipe or terminal; false when nobody will ever read.
bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd, bytes.data(), bytes.size());
    if (put >= 0) {
      bytes.remove_prefix(static_cast<size_t>(put));
    } else if (errno == EAGAIN) {
      pollfd ready{fd, POLLOUT, 0};
      ::poll(&ready, 1, -1);
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

}  // namespace

Attachment::Attachment(ControlClient& client, AttachmentOptions options,
                       std::function<void()> notify)
    : options_(options), notify_(std::move(notify)), stop_(::eventfd(0, EFD_CLOEXEC)) {
  check_errno(stop_.get(), "eventfd");
  context_.set_wait_for_ready(true);
  stream_ = client.stub().Console(&context_);
  v1::ConsoleInput first;
  first.set_ports(port_mask());
  first.set_port(options_.input_port);
  first.set_end_of_file(options_.input_fd < 0 && options_.input_port == v1::STDIO);
  stream_->Write(first);  // a failure shows as the end of the stream
  reader_ = std::thread([this] { read_output(); });
  writer_ = std::thread([this] { write_output(); });
  if (options_.input_fd >= 0) input_ = std::thread([this] { read_input(); });
}

Attachment::~Attachment() {
  finish(std::chrono::milliseconds(0));
}

uint32_t Attachment::port_mask() const {
  uint32_t mask = 1u << v1::CONSOLE;  // for the tail
  if (options_.stdio_fd >= 0) mask |= 1u << v1::STDIO;
  if (options_.stderr_fd >= 0) mask |= 1u << v1::STDERR;
  return mask;
}

int Attachment::fd_of(v1::ConsolePort port) const {
  switch (port) {
    case v1::CONSOLE:
      return options_.console_fd;
    case v1::STDIO:
      return options_.stdio_fd;
    case v1::STDERR:
      return options_.stderr_fd;
    default:
      return -1;
  }
}

void Attachment::read_output() {
  v1::ConsoleOutput output;
  while (stream_->Read(&output)) {
    std::unique_lock guard(mutex_);
    lost_bytes_ += output.dropped_bytes();
    if (output.port() == v1::CONSOLE) {
      tail_ += output.data();
      if (tail_.size() > options_.tail_bytes) tail_.erase(0, tail_.size() - options_.tail_bytes);
    }
    if (fd_of(output.port()) < 0) continue;
    changed_.wait(guard, [this] { return buffered_bytes_ < kBufferMax || output_closed_; });
    buffered_bytes_ += output.data().size();
    pieces_.push_back({output.port(), std::move(*output.mutable_data())});
    changed_.notify_all();
  }
  const std::lock_guard guard(mutex_);
  stream_ended_ = true;
  changed_.notify_all();
}

void Attachment::write_output() {
  std::unique_lock guard(mutex_);
  for (;;) {
    changed_.wait(guard, [this] { return !pieces_.empty() || stream_ended_; });
    if (pieces_.empty()) break;
    const Piece piece = std::move(pieces_.front());
    pieces_.pop_front();
    buffered_bytes_ -= piece.bytes.size();
    changed_.notify_all();
    guard.unlock();
    if (!output_closed_ && !write_all(fd_of(piece.port), piece.bytes)) {
      output_closed_ = true;
      notify_();
    }
    guard.lock();
  }
  ended_ = true;
  changed_.notify_all();
  guard.unlock();
  notify_();
}

bool Attachment::forward_input(const char* data, size_t bytes) {
  v1::ConsoleInput input;
  input.set_port(options_.input_port);
  const void* escape = options_.escape == Escape::ControlBracket
                           ? std::memchr(data, kControlBracket, bytes)
                           : nullptr;
  if (escape != nullptr) bytes = static_cast<size_t>(static_cast<const char*>(escape) - data);
  input.set_data(data, bytes);
  if (bytes > 0 && !stream_->Write(input)) return false;
  if (escape == nullptr) return true;
  detach_requested_ = true;
  notify_();
  return false;
}

void Attachment::read_input() {
  std::array<char, kInputPiece> buffer;
  std::array<pollfd, 2> fds{{{options_.input_fd, POLLIN, 0}, {stop_.get(), POLLIN, 0}}};
  for (;;) {
    if (::poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) return;
    if (fds[1].revents != 0) return;
    if (fds[0].revents == 0) continue;
    const ssize_t got = ::read(options_.input_fd, buffer.data(), buffer.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got <= 0) break;
    if (!forward_input(buffer.data(), static_cast<size_t>(got))) return;
  }
  v1::ConsoleInput end;
  end.set_port(options_.input_port);
  end.set_end_of_file(options_.input_port == v1::STDIO);
  stream_->Write(end);
}

std::string Attachment::console_tail() const {
  const std::lock_guard guard(mutex_);
  return tail_;
}

void Attachment::stop_input() {
  const uint64_t one = 1;
  (void)!::write(stop_.get(), &one, sizeof one);
}

void Attachment::finish(std::chrono::milliseconds limit) {
  if (!reader_.joinable()) return;
  {
    std::unique_lock guard(mutex_);
    changed_.wait_for(guard, limit, [this] { return ended_.load(); });
  }
  const bool cut_off = !ended_;
  stop_input();
  context_.TryCancel();
  if (input_.joinable()) input_.join();
  reader_.join();
  writer_.join();
  const grpc::Status status = stream_->Finish();
  if (!status.ok() && !cut_off) broken_ = status.error_message();
}

}  // namespace pando::cluster
