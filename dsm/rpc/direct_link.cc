// SPDX-License-Identifier: Apache-2.0
#include "dsm/rpc/direct_link.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace pando::dsm {

namespace {

constexpr size_t kLengthBytes = 4;
constexpr size_t kFrameMax = size_t{320} << 20;  // more than an outbox lets wait
constexpr size_t kReadBytes = 256 << 10;
constexpr int kSocketBuffer = 4 << 20;
constexpr size_t kLongRest = 32 << 10;  // worth being woken once for, instead of for each segment
constexpr size_t kLowWaterMax = 512 << 10;

void prepare(int fd) {
  const int one = 1, bytes = kSocketBuffer;
  check_errno(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), "TCP_NODELAY");
  (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

}  // namespace

DirectLink::DirectLink(Options options, DirectHandler& handler)
    : options_(std::move(options)), handler_(handler), sealer_(options_.send_key), opener_(options_.receive_key),
      reading_([this] { run_reading(); }), writing_([this] { run_writing(); }) {
  pthread_setname_np(reading_.native_handle(), "direct-read");
  pthread_setname_np(writing_.native_handle(), "direct-write");
}

void DirectLink::stop() {
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
    if (fd_.valid()) shutdown(fd_.get(), SHUT_RDWR);
    wake_.notify_all();
  }
  if (reading_.joinable()) reading_.join();
  if (writing_.joinable()) writing_.join();
}

// --- writing

FrameWriter::Write DirectLink::start_write(const v1::PeerFrame* frame) {
  const size_t bytes = frame->ByteSizeLong();
  const std::lock_guard guard(mutex_);
  out_.resize(kLengthBytes + bytes + sealer_.tag_bytes());
  const auto length = static_cast<uint32_t>(bytes);
  std::memcpy(out_.data(), &length, kLengthBytes);
  frame->SerializeWithCachedSizesToArray(out_.data() + kLengthBytes);
  sealer_.seal({out_.data() + kLengthBytes, bytes}, out_.data() + kLengthBytes + bytes);
  sent_ = 0;
  if (write_rest()) return Write::Done;
  late_ = true;
  wake_.notify_all();
  return Write::Pending;
}

// With the mutex held.  False: some is left.  A connection that broke is noticed by the reading thread.
bool DirectLink::write_rest() {
  while (sent_ < out_.size()) {
    const ssize_t n = send(fd_.get(), out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) {
      sent_ += static_cast<size_t>(n);
    } else if (errno != EINTR) {
      if (errno != EAGAIN) shutdown(fd_.get(), SHUT_RDWR);
      return false;
    }
  }
  return true;
}

void DirectLink::run_writing() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || late_; });
    if (stopping_) return;
    // Nobody else writes while a frame is late, and fd_ stays as it is.
    lock.unlock();
    pollfd p{fd_.get(), POLLOUT, 0};
    poll(&p, 1, -1);
    lock.lock();
    if (stopping_ || (p.revents & (POLLERR | POLLHUP))) return;
    if (!write_rest()) continue;
    late_ = false;
    lock.unlock();
    options_.on_late_written();
    lock.lock();
  }
}

void DirectLink::close() {
  const std::lock_guard guard(mutex_);
  if (fd_.valid()) shutdown(fd_.get(), SHUT_WR);
}

// --- reading

void DirectLink::run_reading() {
  std::string why;
  try {
    UniqueFd fd = options_.open();
    prepare(fd.get());
    {
      const std::lock_guard guard(mutex_);
      fd_ = std::move(fd);
      if (stopping_) shutdown(fd_.get(), SHUT_RDWR);
    }
    handler_.on_direct_up(options_.peer, options_.stream, *this);
    v1::PeerFrame frame;
    why = read_frames(frame);
  } catch (const std::exception& e) {
    why = e.what();
  }
  handler_.on_direct_end(options_.peer, options_.stream, why);
  ended_ = true;
}

// Returns why it is over.
std::string DirectLink::read_frames(v1::PeerFrame& frame) {
  std::vector<uint8_t> buffer(kReadBytes);
  size_t have = 0;
  for (;;) {
    // A recv that waits would take what is there and then wait for low_water_ more bytes, which need not come: poll waits.
    const bool rest = low_water_ > 1;
    pollfd ready{fd_.get(), POLLIN, 0};
    if (rest && poll(&ready, 1, -1) < 0 && errno != EINTR) return HostError("poll of its connection", errno).what();
    const ssize_t n = recv(fd_.get(), buffer.data() + have, buffer.size() - have, rest ? MSG_DONTWAIT : 0);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n < 0) return HostError("its connection broke", errno).what();
    if (n == 0) return "it closed the connection";
    have += static_cast<size_t>(n);
    const size_t used = take_frames({buffer.data(), have}, frame);
    if (!broken_.empty()) return broken_;
    have -= used;
    if (have != 0 && used != 0) std::memmove(buffer.data(), buffer.data() + used, have);
    wake_for(frame_bytes_ - std::min(frame_bytes_, have));
    if (have == buffer.size()) buffer.resize(buffer.size() * 2);  // a longer frame: bounded by kFrameMax
  }
}

// Each wake-up for a part of a long frame costs both sides more than reading it.
void DirectLink::wake_for(size_t missing) {
  const size_t wanted = missing >= kLongRest ? std::min(missing, kLowWaterMax) : 1;
  if (wanted == low_water_) return;
  const int bytes = static_cast<int>(low_water_ = wanted);
  (void)setsockopt(fd_.get(), SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof bytes);
}

// Handles the whole frames at the front; returns how many bytes they were.
size_t DirectLink::take_frames(std::span<uint8_t> bytes, v1::PeerFrame& frame) {
  size_t at = 0;
  frame_bytes_ = 0;
  while (bytes.size() - at >= kLengthBytes) {
    uint32_t length = 0;
    std::memcpy(&length, bytes.data() + at, kLengthBytes);
    if (length > kFrameMax) broken_ = "it sent a frame that is too long";
    const size_t whole = kLengthBytes + length + opener_.tag_bytes();
    frame_bytes_ = whole;
    if (!broken_.empty() || bytes.size() - at < whole) return at;
    frame_bytes_ = 0;
    uint8_t* const body = bytes.data() + at + kLengthBytes;
    if (!opener_.open({body, length}, body + length)) broken_ = "it sent a frame that is not sealed as agreed";
    else if (!frame.ParseFromArray(body, static_cast<int>(length))) broken_ = "it sent a frame that is malformed";
    if (!broken_.empty()) return at;
    handler_.on_direct_frame(options_.peer, options_.stream, frame);
    at += whole;
  }
  return at;
}

}  // namespace pando::dsm
