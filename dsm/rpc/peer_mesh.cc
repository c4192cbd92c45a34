// SPDX-License-Identifier: Apache-2.0
#include "dsm/rpc/peer_mesh.h"

#include <pthread.h>
#include <sys/prctl.h>

#include <algorithm>
#include <ctime>

#include "base/error.h"
#include "base/log.h"
#include "dsm/rpc/credentials.h"

namespace pando::dsm {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

namespace {

constexpr milliseconds kRedialWait{50};
constexpr milliseconds kPingInterval{500};
constexpr milliseconds kCloseGrace{500};
constexpr uint64_t kClockDriftPpm = 100;
constexpr size_t kSmallFrame = 64;

int64_t ns(nanoseconds d) { return d.count(); }

}  // namespace

int64_t monotonic_now_ns() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

// What both sides of a stream share: greeting first, then frames to the mesh and from the outbox.
// Outbox calls come under the outbox's mutex and stop with detach(), which happens before the stream ends.
template <class Base>
class PeerMesh::Conversation : public Base, public FrameWriter, public Cancellable {
 public:
  explicit Conversation(PeerMesh& mesh) : mesh_(mesh) { mesh_.begins(this); }

  Write start_write(const v1::PeerFrame* frame) override {
    this->StartWrite(frame);
    return Write::Pending;
  }
  void OnWriteDone(bool ok) override {
    if (attached_)
      outbox().on_written(ok);
    else if (ok)
      greeting_step();
  }
  void OnReadDone(bool ok) override {
    if (!ok) {
      set_idle(false);
      detach();
      on_read_end();
    } else if (attached_) {
      mesh_.on_frame(peer_, stream_, in_);
      read_next();
    } else if (direct_) {
      mesh_.report_lost(peer_, "it sent a frame on a stream that carries none");
      cancel();
    } else {
      on_hello();
    }
  }

 protected:
  virtual void on_hello() = 0;     // in_ holds the first frame
  virtual void on_read_end() = 0;
  void read_next() {
    in_.Clear();
    this->StartRead(&in_);
  }
  void say_hello() { this->StartWrite(&out_); }  // out_ holds it
  // Called when our greeting is written and when the peer's is accepted; the second call opens the link.
  void greeting_step() {
    if (++greeting_steps_ < 2) return;
    if (direct_) {  // nothing is to come but the end
      set_idle(true);
      return read_next();
    }
    attached_ = true;
    outbox().attach(this);
    mesh_.on_greeted(peer_, stream_);
    read_next();
  }
  void set_idle(bool idle) {
    const std::lock_guard guard(mesh_.mutex_);
    idle_ = idle;
  }
  void detach() {
    if (attached_) outbox().detach();
  }
  Outbox& outbox() { return mesh_.outbox(peer_, stream_); }

  PeerMesh& mesh_;
  NodeId peer_{};
  PeerStream stream_ = PeerStream::Control;
  v1::PeerFrame in_, out_;
  std::atomic<int> greeting_steps_{0};
  std::atomic<bool> attached_{false};
  bool idle_ = false;  // under the mesh's mutex: a read is under way and nothing else, so that the stream can be ended
  std::atomic<bool> direct_{false};  // greeted, and the frames travel over a direct link
};

class PeerMesh::DialReactor final : public Conversation<grpc::ClientBidiReactor<v1::PeerFrame, v1::PeerFrame>> {
 public:
  DialReactor(PeerMesh& mesh, v1::Peer::Stub& stub, NodeId peer, PeerStream stream) : Conversation(mesh) {
    peer_ = peer;
    stream_ = stream;
    stub.async()->Link(&context_, this);
    out_ = mesh_.hello(stream_, "");
    say_hello();
    StartRead(&in_);
    StartCall();
  }
  void close() override { StartWritesDone(); }
  void cancel() override { context_.TryCancel(); }
  void end_if_direct() override {
    if (idle_) close();
  }
  void OnDone(const grpc::Status& status) override {
    detach();
    const bool refused_for_now = !attached_ && !direct_ && status.error_code() == grpc::StatusCode::UNAVAILABLE;
    const std::string why = status.ok() ? "it closed the connection" : status.error_message();
    if (refused_for_now)
      mesh_.redial_later(peer_, stream_);
    else if (direct_)
      mesh_.on_negotiation_end(peer_, stream_, why);
    else
      mesh_.on_stream_end(peer_, why);
    mesh_.ends(this);
    delete this;
  }

 private:
  void on_hello() override {
    const std::string wrong = mesh_.check_hello(in_.hello(), peer_, nullptr);
    if (wrong.empty()) {
      mesh_.note_host(peer_, in_.hello().host());
      direct_ = mesh_.take_offer(peer_, stream_, in_.hello());
      return greeting_step();
    }
    mesh_.report_lost(peer_, wrong);
    context_.TryCancel();
  }
  void on_read_end() override {}
  grpc::ClientContext context_;
};

class PeerMesh::AcceptReactor final : public Conversation<grpc::ServerBidiReactor<v1::PeerFrame, v1::PeerFrame>> {
 public:
  AcceptReactor(PeerMesh& mesh, grpc::CallbackServerContext* context) : Conversation(mesh), context_(context) {
    StartRead(&in_);
  }
  void close() override { finish(grpc::Status::OK); }
  void cancel() override { context_->TryCancel(); }
  void end_if_direct() override {
    if (idle_) close();
  }
  void OnDone() override {
    detach();
    if (direct_) mesh_.on_negotiation_end(peer_, stream_, "it closed the connection");
    else if (attached_) mesh_.on_stream_end(peer_, "it closed the connection");
    mesh_.ends(this);
    delete this;
  }

 private:
  void on_hello() override {
    const v1::PeerHello& hello = in_.hello();
    std::string wrong = "node id out of range";
    if (mesh_.is_peer(hello.node_id())) {
      peer_ = NodeId(static_cast<uint8_t>(hello.node_id()));
      stream_ = hello.bulk() ? PeerStream::Bulk : PeerStream::Control;
      wrong = mesh_.check_hello(hello, peer_, context_->auth_context().get());
    }
    if (wrong.empty() && !mesh_.take_turn(peer_, stream_)) wrong = "this stream exists already";
    if (!wrong.empty()) {
      spdlog::warn("peer_refused peer={} why=\"{}\"", context_->peer(), wrong);
      return finish({grpc::StatusCode::FAILED_PRECONDITION, wrong});
    }
    mesh_.note_host(peer_, hello.host());
    out_ = mesh_.hello(stream_, "");
    if (hello.direct() && mesh_.direct_listener_) {
      mesh_.offer_direct(peer_, stream_, *out_.mutable_hello());
      direct_ = true;
    }
    say_hello();
    greeting_step();
  }
  void on_read_end() override { finish(grpc::Status::OK); }
  void finish(const grpc::Status& status) {
    if (!finished_.exchange(true)) Finish(status);
  }
  grpc::CallbackServerContext* context_;
  std::atomic<bool> finished_{false};
};

namespace {

class RefusingReactor final : public grpc::ServerBidiReactor<v1::PeerFrame, v1::PeerFrame> {
 public:
  explicit RefusingReactor(const char* why) { Finish({grpc::StatusCode::UNAVAILABLE, why}); }
  void OnDone() override { delete this; }
};

}  // namespace

grpc::ServerBidiReactor<v1::PeerFrame, v1::PeerFrame>* refuse_link(const char* why) {
  return new RefusingReactor(why);
}

PeerMesh::PeerMesh(PeerMeshOptions options, PeerHandler& handler)
    : options_(std::move(options)), handler_(handler), links_(options_.addresses.size()),
      stubs_(options_.addresses.size() * kPeerStreams) {
  for (Link& link : links_)
    for (Stream& s : link.streams) s.outbox.configure({ns(options_.delay), options_.batching});
  if (options_.direct && links_.size() > 1)
    direct_listener_ = std::make_unique<DirectListener>(options_.listen, [this](NodeId peer, PeerStream stream, UniqueFd fd) {
      auto taken = std::make_shared<UniqueFd>(std::move(fd));
      make_direct(peer, stream, [taken] { return std::move(*taken); });
    });
}

PeerMesh::~PeerMesh() { close(); }

// --- greeting

v1::PeerFrame PeerMesh::hello(PeerStream stream, const std::string& refusal) const {
  v1::PeerFrame frame;
  v1::PeerHello& h = *frame.mutable_hello();
  h.set_protocol_version(kPeerProtocolVersion);
  h.set_cluster_id(options_.cluster_id);
  h.set_node_id(options_.self.value());
  h.set_plan_digest(options_.plan_digest);
  h.set_bulk(stream == PeerStream::Bulk);
  h.set_refusal(refusal);
  h.set_host(host_);
  h.set_direct(options_.direct);
  return frame;
}

// Empty, or what does not fit.
std::string PeerMesh::check_hello(const v1::PeerHello& hello, NodeId expected, const grpc::AuthContext* caller) const {
  if (hello.protocol_version() != kPeerProtocolVersion)
    return "it speaks protocol version " + std::to_string(hello.protocol_version()) + ", this node " +
           std::to_string(kPeerProtocolVersion) + ": use one release of Pando on all nodes";
  if (hello.cluster_id() != options_.cluster_id) return "it belongs to another cluster";
  if (hello.node_id() != expected.value()) return "it is another node than expected";
  if (hello.plan_digest() != options_.plan_digest)
    return "it was given another plan (memory layout, images or command line differ)";
  if (caller && !is_caller(*caller, certificate_name(expected))) return "its certificate names another node";
  return {};
}

grpc::ServerBidiReactor<v1::PeerFrame, v1::PeerFrame>* PeerMesh::accept(grpc::CallbackServerContext* context) {
  if (closing_) return refuse_link("this node is ending");
  return new AcceptReactor(*this, context);
}

bool PeerMesh::take_turn(NodeId peer, PeerStream stream) {
  return !links_[peer.value()].streams[static_cast<size_t>(stream)].taken.exchange(true);
}

void PeerMesh::on_greeted(NodeId peer, PeerStream stream) {
  Link& link = links_[peer.value()];
  link.last_heard_ns = monotonic_now_ns();
  if (stream == PeerStream::Control) ping(peer);
  if (++link.greeted < kPeerStreams) return;
  link.connected = true;
  handler_.on_peer_connected(peer);
  if (++connected_count_ == static_cast<int>(links_.size()) - 1) handler_.on_all_connected();
}

// --- dialling

void PeerMesh::dial() {
  if (options_.delay.count() > 0) delay_ = std::thread([this] { run_delay(); });
  keepalive_ = std::thread([this] { run_keepalive(); });
  pthread_setname_np(keepalive_.native_handle(), "keepalive");
  if (links_.size() == 1) return handler_.on_all_connected();
  for (uint8_t n = 0; n < options_.self.value(); ++n)
    for (const PeerStream stream : {PeerStream::Control, PeerStream::Bulk}) dial(NodeId(n), stream);
}

void PeerMesh::dial(NodeId peer, PeerStream stream) {
  auto& stub = stubs_[peer.value() * kPeerStreams + static_cast<size_t>(stream)];
  if (!stub) {
    grpc::ChannelArguments arguments;
    // A connection of its own for each stream.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 50);
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
    arguments.SetInt(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, -1);
    if (!options_.tls.ca_certificate().empty()) arguments.SetSslTargetNameOverride(certificate_name(peer));
    stub = v1::Peer::NewStub(grpc::CreateCustomChannel(options_.addresses[peer.value()],
                                                       channel_credentials(options_.tls), arguments));
  }
  new DialReactor(*this, *stub, peer, stream);
}

void PeerMesh::redial_later(NodeId peer, PeerStream stream) {
  const std::lock_guard guard(mutex_);
  if (closing_) return;
  redial_.emplace_back(peer, stream);
  wake_.notify_all();
}

void PeerMesh::begins(Cancellable* conversation) {
  const std::lock_guard guard(mutex_);
  conversations_.insert(conversation);
}

void PeerMesh::ends(Cancellable* conversation) {
  const std::lock_guard guard(mutex_);
  conversations_.erase(conversation);
  wake_.notify_all();
}

// --- frames

void PeerMesh::on_frame(NodeId from, PeerStream stream, v1::PeerFrame& frame) {
  links_[from.value()].last_heard_ns.store(monotonic_now_ns(), std::memory_order_relaxed);
  if (frame.has_ping()) {
    const int64_t sent = frame.ping().sent_ns();
    (void)send(from, PeerStream::Control, kSmallFrame, [&](v1::PeerFrame& out) {
      out.mutable_pong()->set_ping_sent_ns(sent);
      out.mutable_pong()->set_received_ns(monotonic_now_ns());
    });
  }
  if (frame.has_pong()) on_pong(from, frame.pong());
  handler_.on_peer_frame(from, stream, frame);
}

void PeerMesh::ping(NodeId peer) {
  (void)send(peer, PeerStream::Control, kSmallFrame,
             [](v1::PeerFrame& out) { out.mutable_ping()->set_sent_ns(monotonic_now_ns()); });
}

// Keeps the estimate with the smallest error; the error of an old one grows with the clocks' possible drift.
void PeerMesh::on_pong(NodeId from, const v1::ClockPong& pong) {
  const int64_t now = monotonic_now_ns();
  const int64_t trip = now - pong.ping_sent_ns();
  if (trip < 0 || trip > 60'000'000'000) return;
  Link& link = links_[from.value()];
  const int64_t offset = pong.received_ns() - (pong.ping_sent_ns() + trip / 2);
  const auto error = static_cast<uint64_t>(trip / 2 + 1);
  const std::lock_guard guard(link.clock_mutex);
  link.clock.round_trip_ns = static_cast<uint64_t>(trip);
  const uint64_t aged = link.clock.error_ns == UINT64_MAX
                            ? UINT64_MAX
                            : link.clock.error_ns + static_cast<uint64_t>(now - link.clock_at_ns) / 1'000'000 * kClockDriftPpm;
  if (error > aged) return;
  link.clock.offset_ns = offset;
  link.clock.error_ns = error;
  link.clock_at_ns = now;
}

ClockEstimate PeerMesh::clock(NodeId peer) const {
  const Link& link = links_[peer.value()];
  const std::lock_guard guard(link.clock_mutex);
  ClockEstimate c = link.clock;
  if (c.error_ns != UINT64_MAX)
    c.error_ns += static_cast<uint64_t>(monotonic_now_ns() - link.clock_at_ns) / 1'000'000 * kClockDriftPpm;
  return c;
}

// --- loss

void PeerMesh::on_stream_end(NodeId peer, const std::string& why) {
  if (!closing_) report_lost(peer, why);
}

void PeerMesh::report_lost(NodeId peer, const std::string& why) {
  if (links_[peer.value()].lost.exchange(true)) return;
  handler_.on_peer_lost(peer, why);
}

void PeerMesh::run_keepalive() {
  const nanoseconds interval = std::min<nanoseconds>(kPingInterval, options_.node_loss / 6);
  int64_t next_round = monotonic_now_ns();
  std::unique_lock lock(mutex_);
  while (!closing_) {
    if (!redial_.empty()) {
      wake_.wait_for(lock, kRedialWait, [this] { return closing_.load(); });
      const auto again = std::exchange(redial_, {});
      lock.unlock();
      for (const auto& [peer, stream] : again)
        if (!closing_) dial(peer, stream);
      lock.lock();
      continue;
    }
    const int64_t now = monotonic_now_ns();
    if (now >= next_round) {
      // If this thread itself was kept from running, silence says nothing about the peers.
      const bool in_time = now - next_round < ns(interval);
      next_round = now + ns(interval);
      lock.unlock();
      keepalive_round(in_time);
      lock.lock();
      continue;
    }
    wake_.wait_for(lock, nanoseconds(next_round - now), [this] { return closing_.load() || !redial_.empty(); });
  }
}

void PeerMesh::keepalive_round(bool check_silence) {
  for (uint8_t n = 0; n < links_.size(); ++n) {
    Link& link = links_[n];
    if (!link.connected || link.lost) continue;
    const int64_t silence = monotonic_now_ns() - link.last_heard_ns;
    if (check_silence && silence > ns(options_.node_loss))
      report_lost(NodeId(n), "it has been silent for " + std::to_string(silence / 1'000'000) + " ms");
    else
      ping(NodeId(n));
  }
}

void PeerMesh::close() {
  if (closing_.exchange(true)) return;
  for (Link& link : links_)
    for (Stream& s : link.streams) s.outbox.close();
  if (direct_listener_) direct_listener_->stop();
  std::unique_lock lock(mutex_);
  for (Cancellable* c : conversations_) c->end_if_direct();
  wake_.notify_all();
  // What peers still send is read to its end, or closing would throw away what they have not read.
  const auto quiet = [this] { return conversations_.empty() && direct_running_ == 0; };
  if (!wake_.wait_for(lock, kCloseGrace, quiet)) {
    for (Cancellable* c : conversations_) c->cancel();
    wake_.wait(lock, [this] { return conversations_.empty(); });
  }
  lock.unlock();
  for (Link& link : links_)
    for (Stream& s : link.streams) s.direct.reset();
  if (keepalive_.joinable()) keepalive_.join();
  wake_delay();
  if (delay_.joinable()) delay_.join();
}

// --- direct links

// Accepting side: what the dialling side needs to know.
void PeerMesh::offer_direct(NodeId peer, PeerStream stream, v1::PeerHello& hello) {
  if (!options_.tls.ca_certificate().empty()) {
    const std::string keys = random_bytes(2 * FrameCipher::kKeyBytes);
    Stream& s = stream_of(peer, stream);
    s.receive_key = keys.substr(0, FrameCipher::kKeyBytes);
    s.send_key = keys.substr(FrameCipher::kKeyBytes);
    hello.set_direct_keys(keys);
  }
  hello.set_direct_port(direct_listener_->port());
  hello.set_direct_ticket(direct_listener_->expect(peer, stream));
}

// Dialling side.  False: frames stay on the gRPC stream.
bool PeerMesh::take_offer(NodeId peer, PeerStream stream, const v1::PeerHello& hello) {
  if (!options_.direct || hello.direct_port() == 0) return false;
  const bool tls = !options_.tls.ca_certificate().empty();
  const size_t key_bytes = tls ? 2 * FrameCipher::kKeyBytes : 0;
  if (hello.direct_port() > UINT16_MAX || hello.direct_ticket().size() != DirectListener::kTicketBytes ||
      hello.direct_keys().size() != key_bytes) {
    report_lost(peer, "its offer of a direct link is malformed");
    return true;
  }
  if (tls) {
    Stream& s = stream_of(peer, stream);
    s.send_key = hello.direct_keys().substr(0, FrameCipher::kKeyBytes);
    s.receive_key = hello.direct_keys().substr(FrameCipher::kKeyBytes);
  }
  make_direct(peer, stream,
              [address = options_.addresses[peer.value()], port = static_cast<uint16_t>(hello.direct_port()),
               ticket = hello.direct_ticket()] { return connect_direct(address, port, ticket); });
  return true;
}

void PeerMesh::make_direct(NodeId peer, PeerStream stream, std::function<UniqueFd()> open) {
  Stream& s = stream_of(peer, stream);
  const std::lock_guard guard(mutex_);
  if (closing_ || s.direct) return;
  ++direct_running_;
  DirectLink::Options options{peer, stream, s.send_key, s.receive_key, std::move(open), [&s] { s.outbox.on_written(true); }};
  s.direct = std::make_unique<DirectLink>(std::move(options), static_cast<DirectHandler&>(*this));
}

// The stream that negotiated a direct link ends: a loss only if the link never came to be.
void PeerMesh::on_negotiation_end(NodeId peer, PeerStream stream, const std::string& why) {
  if (!stream_of(peer, stream).direct_up) on_stream_end(peer, why);
}

void PeerMesh::on_direct_up(NodeId peer, PeerStream stream, DirectLink& link) {
  stream_of(peer, stream).direct_up = true;
  outbox(peer, stream).attach(&link);
  on_greeted(peer, stream);
}

void PeerMesh::on_direct_frame(NodeId peer, PeerStream stream, v1::PeerFrame& frame) { on_frame(peer, stream, frame); }

void PeerMesh::on_direct_end(NodeId peer, PeerStream stream, const std::string& why) {
  outbox(peer, stream).detach();
  on_stream_end(peer, why);
  const std::lock_guard guard(mutex_);
  --direct_running_;
  wake_.notify_all();
}

// --- artificial delay

void PeerMesh::wake_delay() {
  const std::lock_guard guard(delay_mutex_);
  delay_work_ = true;
  delay_wake_.notify_one();
}

void PeerMesh::run_delay() {
  prctl(PR_SET_TIMERSLACK, 1);
  std::unique_lock lock(delay_mutex_);
  while (!closing_) {
    delay_work_ = false;
    int64_t next = INT64_MAX;
    for (Link& link : links_)
      for (Stream& s : link.streams) next = std::min(next, s.outbox.release(monotonic_now_ns()));
    const int64_t left = next == INT64_MAX ? ns(kPingInterval) : next - monotonic_now_ns();
    delay_wake_.wait_for(lock, nanoseconds(std::max<int64_t>(left, 0)), [this] { return delay_work_ || closing_.load(); });
  }
}

uint64_t PeerMesh::messages_sent() const {
  uint64_t sum = 0;
  for (const Link& link : links_)
    for (const Stream& s : link.streams) sum += s.outbox.messages();
  return sum;
}

}  // namespace pando::dsm
