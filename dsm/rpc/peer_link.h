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

// Where an outbox writes to: the gRPC reactor of the stream, or a direct link.
class FrameWriter {
 public:
  enum class Write : uint8_t { Done, Pending };  // Pending: on_written() follows
  virtual ~FrameWriter() = default;
  virtual Write start_write(const v1::PeerFrame* frame) = 0;
  virtual void close() = 0;  // no write follows: end the stream
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
    if (!options_.batching && waiting_bytes_ != 0) put_aside();
    change(next_);
    waiting_bytes_ += bytes;
    ++messages_;
    return true;
  }
  // True: the frame was only put aside, because of a delay; release() must be called when it is due.
  bool kick();
  struct Options {
    int64_t delay_ns = 0;  // tests: every frame leaves this much later, in order
    bool batching = true;  // several messages per frame
  };
  void configure(const Options& options) { options_ = options; }  // before the first add()
  // Writes what is due; returns when the next frame is (INT64_MAX: none waits).
  int64_t release(int64_t now_ns);
  void on_written(bool ok);
  // Closes the writer as soon as everything is written; later sends are refused.
  void close();
  uint64_t messages() const { return messages_; }
  uint64_t frames() const { return frames_; }

 private:
  static constexpr size_t kBytesMax = 256 << 20;
  struct Aside {
    int64_t due_ns;
    v1::PeerFrame frame;
  };
  // All with the mutex held.
  void pump();
  void write_next();
  void put_aside();
  void write_aside();

  std::mutex mutex_;
  FrameWriter* writer_ = nullptr;
  v1::PeerFrame next_, on_its_way_;
  size_t waiting_bytes_ = 0;
  Options options_;
  std::deque<Aside> aside_;
  bool writing_ = false, closing_ = false, closed_ = false;
  std::atomic<uint64_t> messages_{0}, frames_{0};
};

int64_t monotonic_now_ns();

}  // namespace pando::dsm
