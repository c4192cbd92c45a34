// SPDX-License-Identifier: Apache-2.0
// libFuzzer: what peers say, against the agent's parsing, the core and real guest memory, in this process.  Nothing is
// played but the network: messages to peers are refused by outboxes that nobody reads.
//
// An input is a list of steps, the first byte of each says which: a thread of this node wants a page; a page message
// made of the next bytes; a frame as it travels; a client that writes page words.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/error.h"
#include "base/log.h"
#include "dsm/agent/coherence.h"

namespace {

using namespace pando;
using namespace pando::dsm;

constexpr int kNodes = 3;
constexpr uint32_t kPagesEach = 96;
constexpr int kStepsMax = 256;

// Takes values off the front of the input; zeros when it is used up.
class Input {
 public:
  explicit Input(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  bool empty() const { return bytes_.empty(); }
  uint8_t byte() {
    if (bytes_.empty()) return 0;
    const uint8_t b = bytes_[0];
    bytes_ = bytes_.subspan(1);
    return b;
  }
  std::span<const uint8_t> take(size_t count) {
    const auto taken = bytes_.first(std::min(count, bytes_.size()));
    bytes_ = bytes_.subspan(taken.size());
    return taken;
  }

 private:
  std::span<const uint8_t> bytes_;
};

struct Silent final : PeerHandler, Coherence::Watcher {
  void on_peer_connected(NodeId) override {}
  void on_all_connected() override {}
  void on_peer_frame(NodeId, PeerStream, v1::PeerFrame&) override {}
  void on_peer_lost(NodeId, const std::string&) override {}
  void on_peer_broken(NodeId, const std::string&) override {}
  void on_client_broken(const std::string&) override {}
  void on_host_failure(const std::string& why) override { check_failed(why.c_str(), __FILE__, __LINE__); }
};

NodeConfig node_config(bool limited) {
  NodeConfig c;
  c.self = NodeId(0);
  c.cache_pages = limited ? 64 : 0;
  c.switches.hold = std::chrono::microseconds(0);  // time must not matter
  c.switches.adaptive_hold = false;
  c.switches.realtime = false;
  return c;
}

ClusterPlan cluster_plan() {
  ClusterPlan plan;
  for (uint64_t n = 0; n < kNodes; ++n)
    plan.nodes.push_back({"n" + std::to_string(n), "", {n * kPagesEach << kPageShift, uint64_t{kPagesEach} << kPageShift}, 0});
  return plan;
}

PeerMeshOptions mesh_options() {
  PeerMeshOptions o;
  o.addresses.resize(kNodes);
  o.direct = false;
  return o;
}

struct Node {
  explicit Node(bool limited) : config(node_config(limited)) {}

  void fetch(Input& in) {
    Coherence::Fetch f{PageId(in.byte() % (kNodes * kPagesEach)), in.byte() & 1 ? Access::Write : Access::Read};
    coherence.fetch({&f, 1});
  }
  void page_message(Input& in) {
    v1::PeerFrame frame;
    v1::PageMessage& m = *frame.add_pages();
    const NodeId from(static_cast<uint8_t>(1 + in.byte() % (kNodes - 1)));
    m.set_type(in.byte() % (kMessageTypes + 1));
    m.set_page(in.byte() + (in.byte() & 1 ? 256 : 0));
    m.set_request(in.byte());
    m.set_version(in.byte() % 8);
    m.set_requester(in.byte() % (kNodes + 1));
    m.set_acks(in.byte() % (kNodes + 1));
    m.set_right(in.byte() % 4);
    m.set_content(in.byte() % 5);
    const uint8_t more = in.byte();
    m.set_clean(more & 1);
    m.set_count(more & 2 ? in.byte() : 0);
    const bool bytes = m.content() == static_cast<uint32_t>(Content::Bytes);
    m.mutable_data()->resize(bytes ? std::max(m.count(), 1u) * kPageSize - (more & 4 ? 1 : 0) : 0, 'x');
    coherence.receive(from, frame);
  }
  void frame(Input& in) {
    const NodeId from(static_cast<uint8_t>(1 + in.byte() % (kNodes - 1)));
    const auto bytes = in.take(in.byte());
    v1::PeerFrame parsed;
    if (parsed.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) coherence.receive(from, parsed);
  }
  // Never locked: a lock that is not given back is taken by force after a second.
  void client_writes(Input& in) {
    const PageId page(in.byte() % (kNodes * kPagesEach));
    const uint32_t bits = in.byte() | static_cast<uint32_t>(in.byte()) << 8;
    control.word(page).initialise(bits & ~(PageWord::kLocked | PageWord::kWaiters));
    control.install_time(page).store(bits * 0x01000193u, std::memory_order_relaxed);
  }

  NodeConfig config;
  ClusterPlan plan = cluster_plan();
  Silent silent;
  GuestMemory memory{plan.ram_bytes()};
  SharedNodeRange ranges[kNodes] = {plan.nodes[0].range, plan.nodes[1].range, plan.nodes[2].range};
  uint8_t distances[kNodes * kNodes] = {};
  std::string names[kNodes] = {"n0", "n1", "n2"};
  ControlMemory control = ControlMemory::create(
      {.nodes = ranges, .vcpu_node = {}, .distances = distances, .node_names = names, .hold_min_ns = 0, .hold_adaptive = false});
  PeerMesh mesh{mesh_options(), silent};
  TraceRing trace;
  Coherence coherence{config, plan, memory, control, mesh, silent, trace};
};

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  spdlog::set_level(spdlog::level::off);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input in({data, size});
  Node node(in.byte() & 1);
  for (int i = 0; i < kStepsMax && !in.empty(); ++i) switch (in.byte() % 8) {
      case 0:
      case 1: node.fetch(in); break;
      case 2: node.frame(in); break;
      case 3: node.client_writes(in); break;
      default: node.page_message(in);
    }
  return 0;
}
