// SPDX-License-Identifier: Apache-2.0
// Output of the guest's console ports: a bounded backlog and the clients that read it.  Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "proto/control.pb.h"

namespace pando::dsm {

inline constexpr uint8_t kConsolePorts = 3;  // console, stdio, stderr

class ConsoleHub {
 public:
  class Reader {
   public:
    virtual ~Reader() = default;
    // There is something new, or the end; may call next() but not attach or detach.  Must not block.
    virtual void on_output() = 0;
  };

  void append(uint8_t port, std::string_view bytes);
  // No output will follow.
  void close();

  // A reader's position; starts at the oldest piece kept.
  struct Cursor {
    uint64_t piece = 0;
    uint32_t ports = 1;  // bit mask
  };
  enum class Next { Got, Nothing, Closed };
  Next next(Cursor& cursor, v1::ConsoleOutput& output);
  void attach(Reader* reader);
  void detach(Reader* reader);
  // Returns when nobody reads, or at the deadline.
  void wait_no_readers(std::chrono::steady_clock::time_point deadline);

 private:
  // With readers that are slower than the guest the backlog grows to the first bound, without any to the second.
  static constexpr size_t kBacklogReadMax = 64 << 20;
  static constexpr size_t kBacklogIdleMax = 1 << 20;
  static constexpr size_t kPieceMax = 32 << 10;
  struct Piece {
    uint8_t port;
    std::string bytes;
  };
  void trim();
  void notify();

  std::mutex mutex_;
  std::deque<Piece> pieces_;
  uint64_t first_piece_ = 0;   // number of pieces_.front()
  size_t bytes_ = 0;
  uint64_t dropped_[kConsolePorts] = {};  // bytes, before first_piece_
  bool closed_ = false;
  std::atomic<size_t> reader_count_{0};
  std::mutex readers_mutex_;  // taken before mutex_
  std::condition_variable reader_left_;
  std::set<Reader*> readers_;
};

}  // namespace pando::dsm
