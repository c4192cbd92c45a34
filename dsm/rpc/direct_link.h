// SPDX-License-Identifier: Apache-2.0
// The frames of one stream over a TCP connection of its own, without gRPC: gRPC has negotiated it (peer_mesh.h), and the
// frames are the same.  Why: docs/design/0009-direct-links.md.
//
// On the wire: length (u32, little-endian) of a serialised PeerFrame, the frame, and its tag if the link is encrypted.
// Writing happens on the caller's thread as long as the connection takes it, else on the thread "direct-write".
// Reading: one thread per link, "direct-read", which calls the handler.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.h"
#include "dsm/rpc/frame_cipher.h"
#include "dsm/rpc/peer_link.h"

namespace pando::dsm {

class DirectLink;

// Called on the link's reading thread.
class DirectHandler {
 public:
  virtual ~DirectHandler() = default;
  virtual void on_direct_up(NodeId peer, PeerStream stream, DirectLink& link) = 0;
  virtual void on_direct_frame(NodeId peer, PeerStream stream, v1::PeerFrame& frame) = 0;
  virtual void on_direct_end(NodeId peer, PeerStream stream, const std::string& why) = 0;  // last call
};

class DirectLink final : public FrameWriter {
 public:
  struct Options {
    NodeId peer{};
    PeerStream stream{};
    std::string send_key, receive_key;      // FrameCipher
    std::function<UniqueFd()> open;         // on the reading thread; throws HostError
    std::function<void()> on_late_written;  // a frame that start_write() left Pending is written
  };
  DirectLink(Options options, DirectHandler& handler);
  ~DirectLink() override { stop(); }

  // FrameWriter: one frame at a time, after on_direct_up().
  Write start_write(const v1::PeerFrame* frame) override;
  void close() override;  // the other side sees the end after the last frame

  bool ended() const { return ended_; }  // reading is over
  void stop();                           // at once, whatever was not written yet is lost

 private:
  void run_reading();
  std::string read_frames(v1::PeerFrame& frame);
  size_t take_frames(std::span<uint8_t> bytes, v1::PeerFrame& frame);
  void wake_for(size_t missing);
  void run_writing();
  bool write_rest();

  const Options options_;
  DirectHandler& handler_;
  FrameCipher sealer_, opener_;
  UniqueFd fd_;
  std::string broken_;  // reading thread: what was wrong with a frame
  size_t frame_bytes_ = 0;  // reading thread: of the frame that is not whole yet, if that can be known
  size_t low_water_ = 1;    // reading thread: SO_RCVLOWAT as it is
  std::atomic<bool> ended_{false};

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<uint8_t> out_;  // the frame on its way; written up to sent_
  size_t sent_ = 0;
  bool late_ = false;  // "direct-write" has to finish it
  bool stopping_ = false;
  std::thread reading_, writing_;
};

// Connects to "host" of `address` ("host:port") at `port`.  Throws HostError.
UniqueFd connect_direct(const std::string& address, uint16_t port, const std::string& ticket);

// Waits for the other ends of links.  A connection begins with the ticket that was given to that node alone.
class DirectListener {
 public:
  static constexpr size_t kTicketBytes = 16;
  // Called on the listener's thread; the ticket is then used up.
  using Arrived = std::function<void(NodeId peer, PeerStream stream, UniqueFd fd)>;

  // Listens on a free port of the host of `address`.  Throws HostError.
  DirectListener(const std::string& address, Arrived arrived);
  ~DirectListener() { stop(); }
  void stop();  // nobody arrives any more
  uint16_t port() const { return port_; }
  std::string expect(NodeId peer, PeerStream stream);  // returns the ticket

 private:
  struct Ticket {
    std::string bytes;
    NodeId peer;
    PeerStream stream;
  };
  struct Stranger {
    UniqueFd fd;
    int64_t give_up_ns;
    std::string said;
  };
  void run();
  void greet(std::vector<Stranger>& strangers);
  bool hear(Stranger& stranger);  // false: done with it

  const Arrived arrived_;
  UniqueFd listener_, wake_;
  uint16_t port_ = 0;
  std::mutex mutex_;
  std::vector<Ticket> tickets_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace pando::dsm
