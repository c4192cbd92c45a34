// SPDX-License-Identifier: Apache-2.0
// The user's terminal or pipes, connected to ports of the guest's console.
//
// Threads: "console-read" takes output from gRPC into a bounded buffer, "console-write" writes it
// to the user's descriptors, "console-input" reads the user's input.  All end with the cluster, or
// by stop().  What happens is told by `notify`, called on those threads; the flags below say what
// it was.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "base/unique_fd.h"
#include "tools/cluster/control_client.h"

namespace pando::cluster {

enum class Escape : uint8_t { None, ControlBracket };  // Ctrl-] detaches

struct AttachmentOptions {
  int input_fd = -1;  // -1 = no input; the guest program sees end of file at once
  v1::ConsolePort input_port = v1::CONSOLE;
  int console_fd = -1, stdio_fd = -1, stderr_fd = -1;  // where each port goes; -1 = not wanted
  Escape escape = Escape::None;
  size_t tail_bytes = 32 * 1024;  // of the console port, kept for messages
};

class Attachment {
 public:
  Attachment(ControlClient& client, AttachmentOptions options, std::function<void()> notify);
  ~Attachment();

  bool detach_requested() const { return detach_requested_; }
  bool output_closed() const {
    return output_closed_;
  }                                      // nobody reads the user's descriptor any more
  bool ended() const { return ended_; }  // the stream has ended and all output is written
  uint64_t lost_bytes() const { return lost_bytes_; }
  std::string console_tail() const;
  // Why the stream broke; empty when the cluster ended it in order.  After finish().
  const std::string& broken() const { return broken_; }
  // Waits for ended(), at most `limit`; then cuts the stream off.  Joins the threads.
  void finish(std::chrono::milliseconds limit);

 private:
  using Stream = grpc::ClientReaderWriter<v1::ConsoleInput, v1::ConsoleOutput>;
  void read_output();
  void write_output();
  void read_input();
  bool forward_input(const char* data, size_t bytes);
  int fd_of(v1::ConsolePort port) const;
  uint32_t port_mask() const;
  void stop_input();

  const AttachmentOptions options_;
  const std::function<void()> notify_;
  grpc::ClientContext context_;
  std::unique_ptr<Stream> stream_;
  UniqueFd stop_;  // eventfd: the input thread ends
  std::atomic<bool> detach_requested_{false}, output_closed_{false}, ended_{false};
  std::atomic<uint64_t> lost_bytes_{0};
  std::string broken_;

  struct Piece {
    v1::ConsolePort port;
    std::string bytes;
  };
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Piece> pieces_;   // under mutex_
  size_t buffered_bytes_ = 0;  // under mutex_
  bool stream_ended_ = false;  // under mutex_
  std::string tail_;           // under mutex_
  std::thread reader_, writer_, input_;
};

}  // namespace pando::cluster
