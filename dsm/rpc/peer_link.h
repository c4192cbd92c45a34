// SPDX-License-Identifier: Apache-2.0
// One bidirectional stream of frames with one peer, whichever side opened it.
//
// Sending never blocks: frames are put together in an outbox while one is on its way.  Receiving: one frame at a time,
// in order, on a gRPC thread; the handler must not block on another peer.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "base/types.h"
#include "proto/peer.grpc.pb.h"

namespace pando::dsm {

enum class PeerStream : uint8_t { Control, Bulk };
inline constexpr int kPeerStreams = 2;

// Where an outbox writes to: the gRPC reactor of the stream.
class FrameWriter {
 public:
  virtual ~FrameWriter() = default;
  virtual void start_write(const v1::PeerFrame* frame) = 0;  // on_written() follows
  virtual void close() = 0;                                  // no write follows: end the stream
};

// Frames waiting for one stream.  Thread-safe.
class Outbox {
 public:
  // Sends go to `writer` until it is detached; nothing is kept for a stream that is not there.
  void attach(FrameWriter* writer);
  void detach();
  // Calls change(frame) on the frame that goes next; it goes at the next kick(), or when the frame before it is
  // written.  `bytes` is about what it adds, not 0; false: the peer does not read (more than kBytesMax wait) or is gone.
  template <class Change>
  bool add(size_t bytes, Change&& change) {
    const std::lock_guard guard(mutex_);
    if (!writer_ || closing_ || waiting_bytes_ + bytes > kBytesMax) return false;
    change(next_);
    waiting_bytes_ += bytes;
    ++messages_;
    return true;
  }
  void kick();
  void on_written(bool ok);
  // Closes the writer as soon as everything is written; later sends are refused.
  void close();
  uint64_t messages() const { return messages_; }
  uint64_t frames() const { return frames_; }

 private:
  static constexpr size_t kBytesMax = 256 << 20;
  void write_next();

  std::mutex mutex_;
  FrameWriter* writer_ = nullptr;
  v1::PeerFrame next_, on_its_way_;
  size_t waiting_bytes_ = 0;
  bool writing_ = false, closing_ = false;
  std::atomic<uint64_t> messages_{0}, frames_{0};
};

}  // namespace pando::dsm
