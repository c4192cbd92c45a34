// SPDX-License-Identifier: Apache-2.0
// The links of one agent with all others.
//
// The node with the higher id dials.  A link counts once both sides have greeted each other with the same protocol
// version, cluster id and plan, and the certificate (if any) names the node.  Greetings travel over gRPC; frames then
// over a direct link (direct_link.h) if both sides want that, else over the same gRPC stream.  Afterwards silence for
// longer than `node_loss`, or a broken stream, is the loss of that node, reported once.
#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <set>
#include <thread>
#include <vector>

#include "base/host_identity.h"
#include "dsm/rpc/direct_link.h"
#include "dsm/rpc/peer_link.h"
#include "proto/node.pb.h"

namespace pando::dsm {

inline constexpr uint32_t kPeerProtocolVersion = 3;

struct PeerMeshOptions {
  NodeId self{};
  std::vector<std::string> addresses;  // by node id
  std::vector<std::string> names;
  std::string cluster_id, plan_digest;
  v1::TlsMaterial tls;
  std::chrono::milliseconds connect{15'000};
  std::chrono::milliseconds node_loss{3'000};
  std::chrono::microseconds delay{0};  // tests: added to every frame
  bool batching = true;                // several messages per frame
  bool direct = true;                  // frames over direct links
  std::string listen;                  // "host:port" of this node's server; direct links come in on the same host
};

// Called on gRPC threads and on the mesh's own thread.
class PeerHandler {
 public:
  virtual ~PeerHandler() = default;
  virtual void on_peer_connected(NodeId peer) = 0;  // both streams
  virtual void on_all_connected() = 0;
  virtual void on_peer_frame(NodeId from, PeerStream stream, v1::PeerFrame& frame) = 0;
  virtual void on_peer_lost(NodeId peer, const std::string& why) = 0;
};

struct ClockEstimate {
  int64_t offset_ns = 0;       // peer's CLOCK_MONOTONIC minus ours
  uint64_t error_ns = UINT64_MAX;
  uint64_t round_trip_ns = 0;  // the last one
};

class PeerMesh final : private DirectHandler {
 public:
  // Throws HostError when it cannot listen for direct links.
  PeerMesh(PeerMeshOptions options, PeerHandler& handler);
  ~PeerMesh() override;

  void dial();  // once
  // Server side: takes over an incoming call.
  grpc::ServerBidiReactor<v1::PeerFrame, v1::PeerFrame>* accept(grpc::CallbackServerContext* context);

  // As Outbox::add and kick; send is both.
  template <class Change>
  bool add(NodeId to, PeerStream stream, size_t bytes, Change&& change) {
    return outbox(to, stream).add(bytes, std::forward<Change>(change));
  }
  void kick(NodeId to, PeerStream stream) {
    if (outbox(to, stream).kick()) wake_delay();
  }
  template <class Change>
  bool send(NodeId to, PeerStream stream, size_t bytes, Change&& change) {
    if (!add(to, stream, bytes, std::forward<Change>(change))) return false;
    kick(to, stream);
    return true;
  }
  // From now on broken streams are no loss; closes them and returns when no callback of this mesh runs any more.
  void close();

  bool connected(NodeId peer) const { return links_[peer.value()].connected; }
  ClockEstimate clock(NodeId peer) const;
  // Told by its greeting; of no meaning before it is connected.
  bool on_this_host(NodeId peer) const { return links_[peer.value()].same_host; }
  const PeerMeshOptions& options() const { return options_; }
  uint64_t messages_sent() const;

 private:
  template <class Base>
  class Conversation;
  class DialReactor;
  class AcceptReactor;
  class Cancellable {
   public:
    virtual ~Cancellable() = default;
    virtual void cancel() = 0;
    virtual void end_if_direct() = 0;  // its frames travel elsewhere: nothing else would end it
  };
  struct Stream {
    Outbox outbox;
    std::atomic<bool> taken{false};  // accepting side: a conversation uses it
    std::atomic<bool> direct_up{false};
    std::string send_key, receive_key;   // of the direct link, from the greeting
    std::unique_ptr<DirectLink> direct;  // under mutex_
  };
  struct Link {
    std::array<Stream, kPeerStreams> streams;
    std::atomic<int> greeted{0};
    std::atomic<bool> connected{false};
    std::atomic<bool> lost{false};
    std::atomic<bool> same_host{false};
    std::atomic<int64_t> last_heard_ns{0};
    mutable std::mutex clock_mutex;
    ClockEstimate clock;
    int64_t clock_at_ns = 0;
  };

  Stream& stream_of(NodeId peer, PeerStream stream) { return links_[peer.value()].streams[static_cast<size_t>(stream)]; }
  Outbox& outbox(NodeId to, PeerStream stream) { return stream_of(to, stream).outbox; }
  bool is_peer(uint32_t node) const { return node < links_.size() && node != options_.self.value(); }
  v1::PeerFrame hello(PeerStream stream, const std::string& refusal) const;
  std::string check_hello(const v1::PeerHello& hello, NodeId expected, const grpc::AuthContext* caller) const;
  bool take_turn(NodeId peer, PeerStream stream);
  void redial_later(NodeId peer, PeerStream stream);
  void keepalive_round(bool check_silence);
  void on_greeted(NodeId peer, PeerStream stream);
  void note_host(NodeId peer, const std::string& host) {
    links_[peer.value()].same_host = !host_.empty() && host == host_;
  }
  void on_frame(NodeId from, PeerStream stream, v1::PeerFrame& frame);
  void on_pong(NodeId from, const v1::ClockPong& pong);
  void on_stream_end(NodeId peer, const std::string& why);
  void report_lost(NodeId peer, const std::string& why);
  void dial(NodeId peer, PeerStream stream);
  void run_keepalive();
  void run_delay();
  void wake_delay();
  void ping(NodeId peer);
  void offer_direct(NodeId peer, PeerStream stream, v1::PeerHello& hello);
  bool take_offer(NodeId peer, PeerStream stream, const v1::PeerHello& hello);
  void make_direct(NodeId peer, PeerStream stream, std::function<UniqueFd()> open);
  void on_negotiation_end(NodeId peer, PeerStream stream, const std::string& why);
  void on_direct_up(NodeId peer, PeerStream stream, DirectLink& link) override;
  void on_direct_frame(NodeId peer, PeerStream stream, v1::PeerFrame& frame) override;
  void on_direct_end(NodeId peer, PeerStream stream, const std::string& why) override;
  void begins(Cancellable* conversation);
  void ends(Cancellable* conversation);

  const PeerMeshOptions options_;
  const std::string host_ = host_identity();
  PeerHandler& handler_;
  std::vector<Link> links_;
  std::atomic<int> connected_count_{0};
  std::atomic<bool> closing_{false};

  std::mutex mutex_;
  std::condition_variable wake_;
  std::set<Cancellable*> conversations_;    // under mutex_: streams that gRPC may still call back for
  std::vector<std::pair<NodeId, PeerStream>> redial_;  // under mutex_: refused for now
  std::vector<std::unique_ptr<v1::Peer::Stub>> stubs_;  // two per dialled peer
  int direct_running_ = 0;                              // under mutex_: links whose end has not been seen
  std::unique_ptr<DirectListener> direct_listener_;
  std::thread keepalive_;
  std::mutex delay_mutex_;
  std::condition_variable delay_wake_;
  bool delay_work_ = false;
  std::thread delay_;
};

// For an agent that has no mesh (yet): the caller tries again.
grpc::ServerBidiReactor<v1::PeerFrame, v1::PeerFrame>* refuse_link(const char* why);

}  // namespace pando::dsm
