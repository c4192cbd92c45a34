// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/hostile_peer.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <thread>

#include "dsm/agent/sha256.h"
#include "dsm/rpc/peer_mesh.h"
#include "proto/peer.grpc.pb.h"

namespace pando::test {

namespace {

using Stream = grpc::ClientReaderWriter<v1::PeerFrame, v1::PeerFrame>;

std::string sha256(const std::string& text) {
  dsm::Sha256 digest;
  digest.add(text);
  return digest.hex();
}

v1::PeerFrame hello(const v1::Plan& plan, bool bulk, std::mt19937_64& random) {
  v1::PeerFrame frame;
  v1::PeerHello& h = *frame.mutable_hello();
  h.set_protocol_version(dsm::kPeerProtocolVersion);
  h.set_cluster_id(plan.cluster_id());
  h.set_node_id(1);
  h.set_plan_digest(sha256(plan.SerializeAsString()));
  h.set_bulk(bulk);
  if (random() % 8 != 0) return frame;
  switch (random() % 4) {  // every eighth greeting is wrong already
    case 0: h.set_protocol_version(static_cast<uint32_t>(random())); break;
    case 1: h.set_cluster_id("another"); break;
    case 2: h.set_node_id(static_cast<uint32_t>(random() % 20)); break;
    default: h.set_plan_digest("different"); break;
  }
  return frame;
}

void add_page_message(v1::PeerFrame& frame, std::mt19937_64& random, uint32_t pages) {
  v1::PageMessage& m = *frame.add_pages();
  m.set_type(static_cast<uint32_t>(random() % 14));
  m.set_page(random() % 16 == 0 ? static_cast<uint32_t>(random()) : static_cast<uint32_t>(random() % pages));
  m.set_request(static_cast<uint32_t>(random() % 64));
  m.set_version(static_cast<uint32_t>(random() % 4));
  m.set_requester(random() % 8 == 0 ? static_cast<uint32_t>(random() % 300) : static_cast<uint32_t>(random() % 2));
  m.set_acks(static_cast<uint32_t>(random() % 3));
  m.set_right(static_cast<uint32_t>(random() % 4));
  m.set_content(static_cast<uint32_t>(random() % 5));
  m.set_clean(random() % 2);
  if (random() % 4 == 0) m.set_count(static_cast<uint32_t>(random() % 70));
  static constexpr size_t kLengths[] = {0, 4096, 4096, 1, 4095, 100'000};
  m.mutable_data()->resize(random() % 2 ? size_t{m.count()} * kPageSize : kLengths[random() % 6], 'z');
}

v1::PeerFrame random_frame(std::mt19937_64& random, uint32_t pages) {
  v1::PeerFrame frame;
  switch (random() % 12) {
    case 0: frame.add_fabric()->set_kind(static_cast<uint32_t>(random() % 80)); break;
    case 1: {
      v1::FabricPiece& piece = *frame.add_fabric();
      piece.set_kind(static_cast<uint32_t>(random() % 12));
      piece.mutable_payload()->resize(random() % 40'000, 'f');
      break;
    }
    case 2: frame.mutable_pong()->set_ping_sent_ns(static_cast<int64_t>(random())); break;
    case 3: frame.mutable_ping()->set_sent_ns(static_cast<int64_t>(random())); break;
    case 4: {
      v1::ConsoleBytes& console = *frame.add_console();
      console.set_port(static_cast<uint32_t>(random() % 5));
      console.mutable_data()->resize(random() % 40'000, 'c');
      console.set_input(random() % 2);
      break;
    }
    case 5: frame.mutable_start()->set_time_zero_ns(static_cast<int64_t>(random())); break;
    case 6: frame.mutable_ready()->set_preload_digest(sha256("")); break;
    default:
      for (uint64_t n = random() % 4; n > 0; --n) add_page_message(frame, random, pages);
  }
  return frame;
}

struct Line {
  std::unique_ptr<grpc::ClientContext> context;
  std::unique_ptr<Stream> stream;  // null: the agent refuses the greeting
};

// An agent that is still being started says "unavailable": asked again.
Line greet(v1::Peer::Stub& stub, const v1::PeerFrame& greeting) {
  const auto give_up = std::chrono::system_clock::now() + std::chrono::seconds(3);
  for (;;) {
    Line line{std::make_unique<grpc::ClientContext>(), nullptr};
    line.context->set_deadline(give_up + std::chrono::seconds(2));
    auto stream = stub.Link(line.context.get());
    v1::PeerFrame answer;
    if (stream->Write(greeting) && stream->Read(&answer)) {
      line.stream = std::move(stream);
      return line;
    }
    const bool again = stream->Finish().error_code() == grpc::StatusCode::UNAVAILABLE;
    if (!again || std::chrono::system_clock::now() > give_up) return line;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

}  // namespace

HostileResult attack(const std::string& address, const v1::Plan& plan, std::mt19937_64& random, uint64_t frames_max) {
  HostileResult result;
  const auto channel = grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
  const auto stub = v1::Peer::NewStub(channel);
  Line lines[2];
  for (int s = 0; s < 2; ++s) {
    lines[s] = greet(*stub, hello(plan, s == 1, random));
    if (!lines[s].stream) return result;
  }
  result.greeted = true;
  v1::PeerFrame ready;
  ready.mutable_ready()->set_preload_digest(sha256(""));
  (void)lines[0].stream->Write(ready);
  const auto pages = static_cast<uint32_t>((plan.nodes(0).memory_bytes() + plan.nodes(1).memory_bytes()) >> kPageShift);
  while (result.frames < frames_max && lines[random() % 2].stream->Write(random_frame(random, pages))) ++result.frames;
  for (Line& line : lines) line.context->TryCancel();
  return result;
}

}  // namespace pando::test
