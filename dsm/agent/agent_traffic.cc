// SPDX-License-Identifier: Apache-2.0
// The agent between its VMM and its peers: what comes from either is acted upon or passed on here.  No function of this
// file runs on the main thread, except tell_peers_of_end().
#include <cstring>

#include "base/error.h"
#include "dsm/agent/agent.h"
#include "dsm/agent/exit_status.h"
#include "dsm/agent/responsive.h"

namespace pando::dsm {

namespace {

bool is_between_vmms(FabricKind kind) { return kind >= FabricKind::Ipi && kind < FabricKind::Power; }

std::string_view text_of(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

std::string Agent::name_of_node(NodeId node) const {
  return "node " + std::to_string(node.value()) + " (" + machine_->plan.nodes[node.value()].name + ")";
}

void Agent::deliver(FabricKind kind, NodeId from, std::span<const uint8_t> payload) {
  if (!machine_->client->deliver(kind, from, payload)) on_client_broken("the VMM does not read its messages");
}

// --- the VMM ("requests" thread)

void Agent::on_fetches(std::span<const Fetch> fetches) {
  preloads_left_ = 0;
  fetches_.clear();
  for (const Fetch& f : fetches) {
    machine_->coherence->note_post(f.waited_ns);
    fetches_.push_back({f.page, f.access});
  }
  machine_->coherence->fetch(fetches_);
}

void Agent::on_ahead(PageId page) { machine_->coherence->read_on(page); }

void Agent::on_preloaded(PageId first, uint32_t pages) {
  if (preloads_left_ == 0) return on_client_broken("the VMM preloads pages after its start");
  --preloads_left_;
  // A lone node owns every page anyhow.
  if (machine_->plan.nodes.size() > 1) machine_->coherence->share_everywhere(first, pages);
}

void Agent::on_fabric_out(FabricKind kind, NodeId to, std::span<const uint8_t> payload) {
  switch (kind) {
    case FabricKind::Power: return on_power(payload);
    case FabricKind::ConsoleOut: return on_console_out(payload);
    case FabricKind::Debug: return debug_service_.on_vmm_message(payload);
    case FabricKind::Ready: preloads_left_ = 0; return (void)mailbox_.post(VmmReady{});
    default: break;
  }
  if (!is_between_vmms(kind)) return;
  if (to == config_.self) return deliver(kind, config_.self, payload);
  trace_fabric(v1::TRACE_FABRIC_SENT, to, kind, payload);
  const bool sent = machine_->mesh->send(to, PeerStream::Control, payload.size() + 16, [&](v1::PeerFrame& frame) {
    v1::FabricPiece& piece = *frame.add_fabric();
    piece.set_kind(static_cast<uint32_t>(kind));
    piece.set_payload(payload.data(), payload.size());
  });
  if (!sent) on_peer_broken(to, "it does not take messages any more");
}

void Agent::on_power(std::span<const uint8_t> payload) {
  uint32_t kind_and_code[2] = {};
  if (payload.size() < sizeof kind_and_code) return on_client_broken("the VMM sent a power event that is too short");
  std::memcpy(kind_and_code, payload.data(), sizeof kind_and_code);
  static constexpr struct {
    v1::ExitReason reason;
    const char* text;
  } kKinds[] = {{v1::EXIT_POWER_OFF, "the guest powered off"},
                {v1::EXIT_REBOOT, "the guest rebooted"},
                {v1::EXIT_PANIC, "the guest panicked"},
                {v1::EXIT_HALT, "the guest halted"}};
  if (kind_and_code[0] >= std::size(kKinds)) return on_client_broken("the VMM sent an unknown power event");
  const auto& kind = kKinds[kind_and_code[0]];
  request_end(kind.reason, kind_and_code[1], kind.text);
}

// The console itself can be read at every node; the other ports only where the console's backlog is kept.
void Agent::on_console_out(std::span<const uint8_t> payload) {
  if (payload.empty()) return;
  const uint8_t port = payload[0];
  const std::string_view bytes = text_of(payload.subspan(1));
  const bool everywhere = port == v1::CONSOLE;
  for (uint8_t n = 0; n < machine_->plan.nodes.size(); ++n)
    if (everywhere || NodeId(n) == machine_->plan.console_node) send_console(NodeId(n), port, bytes, false);
}

void Agent::send_console(NodeId to, uint8_t port, std::string_view bytes, bool input) {
  if (to == config_.self) {
    if (!input) return console_.append(port, bytes);
    std::vector<uint8_t> payload{port};
    payload.insert(payload.end(), bytes.begin(), bytes.end());
    return deliver(FabricKind::ConsoleIn, config_.self, payload);
  }
  (void)machine_->mesh->send(to, PeerStream::Control, bytes.size() + 16, [&](v1::PeerFrame& frame) {
    v1::ConsoleBytes& console = *frame.add_console();
    console.set_port(port);
    console.set_data(bytes.data(), bytes.size());
    console.set_input(input);
  });
}

void Agent::on_client_broken(const std::string& why) { request_end(v1::EXIT_VMM_DIED, 0, why); }

void Agent::on_host_failure(const std::string& why) {
  request_end(v1::EXIT_INTERNAL, 0, name_of_node(config_.self) + " cannot go on: " + why);
}

// --- peers (gRPC threads)

void Agent::on_peer_connected(NodeId peer) {
  events_.add(v1::PHASE_CONNECTING, "connected to " + name_of_node(peer));
}

void Agent::on_all_connected() { (void)mailbox_.post(PeersConnected{}); }

void Agent::on_peer_frame(NodeId from, PeerStream, v1::PeerFrame& frame) try {
  if (config_.switches.realtime) make_thread_responsive();
  traffic_.count(from, frame);
  machine_->coherence->receive(from, frame);
  for (const v1::FabricPiece& piece : frame.fabric()) {
    const auto kind = static_cast<FabricKind>(std::min(piece.kind(), 0xffffu));
    const auto* bytes = reinterpret_cast<const uint8_t*>(piece.payload().data());
    if (!is_between_vmms(kind) || piece.payload().size() > kFabricPayloadMax)
      on_peer_broken(from, "it sent a fabric message that cannot be");
    else {
      trace_fabric(v1::TRACE_FABRIC_RECEIVED, from, kind, {bytes, piece.payload().size()});
      deliver(kind, from, {bytes, piece.payload().size()});
    }
  }
  for (const v1::ConsoleBytes& console : frame.console()) {
    const bool wanted = console.port() < kConsolePorts && console.data().size() < kFabricPayloadMax;
    const bool here = !console.input() || machine_->plan.console_node == config_.self;
    if (wanted && here)
      send_console(config_.self, static_cast<uint8_t>(console.port()), console.data(), console.input());
  }
  if (frame.has_ready()) (void)mailbox_.post(PeerReady{from, frame.ready().preload_digest()});
  if (frame.has_start() && from == NodeId(0)) (void)mailbox_.post(GuestStart{frame.start().time_zero_ns()});
  if (frame.has_end()) {
    const v1::ClusterEnd& e = frame.end();
    const auto reason = v1::ExitReason_IsValid(static_cast<int>(e.reason())) ? static_cast<v1::ExitReason>(e.reason())
                                                                             : v1::EXIT_INTERNAL;
    (void)mailbox_.post(End{exit_status(reason, e.code(), NodeId(static_cast<uint8_t>(e.node() % kNodesMax)), e.message())});
  }
} catch (const HostError& e) {
  on_host_failure(e.what());
}

void Agent::on_peer_lost(NodeId peer, const std::string& why) {
  const bool started = events_.phase() >= v1::PHASE_RUNNING;
  const auto reason = started ? v1::EXIT_NODE_LOST : v1::EXIT_START_FAILED;
  (void)mailbox_.post(End{exit_status(reason, 0, peer, name_of_node(peer) + (started ? " was lost: " : " cannot be used: ") + why)});
}

void Agent::on_peer_broken(NodeId peer, const std::string& why) {
  (void)mailbox_.post(End{exit_status(v1::EXIT_NODE_LOST, 0, peer, name_of_node(peer) + " was given up: " + why)});
}

// On both streams, as the last frame of each: a peer that sees a stream end without it reports the loss of this node.
void Agent::tell_peers_of_end() {
  if (!machine_->mesh) return;
  for (uint8_t n = 0; n < machine_->plan.nodes.size(); ++n) {
    if (NodeId(n) == config_.self) continue;
    for (const PeerStream stream : {PeerStream::Control, PeerStream::Bulk})
      (void)machine_->mesh->send(NodeId(n), stream, 256, [&](v1::PeerFrame& frame) {
        v1::ClusterEnd& end = *frame.mutable_end();
        end.set_reason(exit_->reason());
        end.set_code(exit_->code());
        end.set_node(exit_->node());
        end.set_message(exit_->message());
      });
  }
}

}  // namespace pando::dsm
