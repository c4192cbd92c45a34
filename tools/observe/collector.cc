// SPDX-License-Identifier: Apache-2.0
#include "tools/observe/collector.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <optional>

#include "tools/observe/page_walk.h"

namespace pando::observe {

namespace {

constexpr std::chrono::seconds kAnswer{2};
constexpr size_t kInstructionsMax = 64;  // user instructions whose bytes are read
constexpr size_t kInstructionBytes = 15;
constexpr uint64_t kInstructionFaultsMin = 4;  // of an instruction, to be looked at

template <class Clock>
int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count();
}

}  // namespace

Collector::Collector(const v1::ClusterState& state, Events events, size_t records_max)
    : state_(state), events_(events), records_max_(records_max) {
  for (const v1::StateNode& node : state.nodes()) {
    Node& n = nodes_.emplace_back();
    n.client = std::make_unique<cluster::ControlClient>(node.name(), node.id(), node.address(), state.operator_tls());
    n.recorded.set_id(node.id());
    n.recorded.set_name(node.name());
  }
}

Collector::~Collector() {
  if (events_ == Events::No) return;
  v1::TraceRequest off;
  off.set_set(v1::TRACE_OFF);
  off.set_events_max(1);
  off.set_since_sequence(UINT64_MAX);
  ask_each([&](Node& n) { n.client->trace(off, kAnswer); });
}

// A node that has failed once in an interval is not asked again in it.
template <class Ask>
void Collector::ask_each(Ask ask) {
  for (Node& node : nodes_) {
    if (!node.recorded.error().empty()) continue;
    try {
      ask(node);
    } catch (const cluster::ControlError& error) {
      node.recorded.set_error(error.what());
    }
  }
}

void Collector::begin(Since since) {
  for (Node& node : nodes_) {
    v1::RecordedNode fresh;
    fresh.set_id(node.recorded.id());
    fresh.set_name(node.recorded.name());
    node.recorded = std::move(fresh);
  }
  code_.clear();
  code_known_.clear();
  begun_ns_ = now_ns<std::chrono::steady_clock>();
  begun_unix_ns_ = now_ns<std::chrono::system_clock>();
  ask_each([&](Node& n) {
    *n.recorded.mutable_before() = n.client->status(kAnswer);
    n.next_fault = since == Since::Now ? n.recorded.before().faults_remote() : 0;
    if (events_ == Events::No) return;
    v1::TraceRequest on;
    on.set_set(v1::TRACE_ON);
    on.set_since_sequence(UINT64_MAX);
    n.next_event = n.client->trace(on, kAnswer).next_sequence();
  });
}

void Collector::drain(Node& n) {
  const v1::FaultsReply faults = n.client->faults(n.next_fault, kAnswer);
  n.recorded.set_faults_lost(n.recorded.faults_lost() + faults.lost());
  n.next_fault += faults.lost() + static_cast<uint64_t>(faults.records_size());
  for (const v1::FaultRecord& record : faults.records()) {
    if (static_cast<size_t>(n.recorded.faults_size()) < records_max_)
      *n.recorded.add_faults() = record;
    else
      n.recorded.set_faults_lost(n.recorded.faults_lost() + 1);
  }
  if (events_ == Events::No) return;
  v1::TraceRequest request;
  request.set_set(v1::TRACE_ON);
  request.set_since_sequence(n.next_event);
  v1::TraceReply reply = n.client->trace(request, kAnswer);
  n.next_event = reply.next_sequence();
  n.recorded.set_events_lost(n.recorded.events_lost() + reply.lost());
  for (v1::TraceEvent& event : *reply.mutable_events()) {
    if (static_cast<size_t>(n.recorded.events_size()) < records_max_)
      n.recorded.add_events()->Swap(&event);
    else
      n.recorded.set_events_lost(n.recorded.events_lost() + 1);
  }
}

void Collector::drain() {
  ask_each([&](Node& n) { drain(n); });
  read_code();  // now: the process may have ended at the end of the interval
}

v1::Recording Collector::finish() {
  drain();
  ask_each([](Node& n) {
    *n.recorded.mutable_after() = n.client->status(kAnswer);
    *n.recorded.mutable_spaces() = n.client->address_spaces(kAnswer);
  });
  v1::Recording recording;
  recording.set_duration_ns(now_ns<std::chrono::steady_clock>() - begun_ns_);
  recording.set_begun_unix_ns(begun_unix_ns_);
  recording.set_cluster(state_.name());
  recording.set_kernel_file(state_.kernel_file());
  estimate_clocks();
  for (Node& node : nodes_) *recording.add_nodes() = node.recorded;
  for (const v1::RecordedCode& code : code_) *recording.add_code() = code;
  return recording;
}

// The first node that answers tells how the clocks of the others differ from its own.
void Collector::estimate_clocks() {
  const auto teller = std::ranges::find_if(nodes_, [](const Node& n) { return n.recorded.error().empty(); });
  if (teller == nodes_.end()) return;
  for (const v1::PeerStatus& peer : teller->recorded.after().peers()) {
    for (Node& node : nodes_) {
      if (node.recorded.id() != peer.node()) continue;
      node.recorded.set_clock_offset_ns(peer.clock_offset_ns());
      node.recorded.set_clock_error_ns(peer.clock_error_ns());
    }
  }
}

// From whichever node holds the page now; empty: none does, or it is on its way.
std::string Collector::peek(uint64_t address, size_t bytes) {
  v1::PeekRequest request;
  request.set_page(address >> kPageShift);
  request.set_offset(static_cast<uint32_t>(address % kPageSize));
  request.set_bytes(static_cast<uint32_t>(std::min<uint64_t>(bytes, kPageSize - address % kPageSize)));
  std::string data;
  ask_each([&](Node& n) {
    if (!data.empty()) return;
    v1::PeekReply reply = n.client->peek(request, kAnswer);
    if (reply.here()) data = std::move(*reply.mutable_data());
  });
  return data;
}

// The bytes of the user instructions that fault tell locks from counters.  Each is read once, when it has faulted often
// enough to matter.
void Collector::read_code() {
  std::map<std::pair<uint64_t, uint64_t>, uint64_t> faults;  // mm, rip
  for (const Node& node : nodes_)
    for (const v1::FaultRecord& fault : node.recorded.faults())
      if (fault.user()) ++faults[{fault.mm(), fault.rip()}];
  std::vector<std::pair<uint64_t, uint64_t>> wanted;
  for (const auto& [code, count] : faults)
    if (count >= kInstructionFaultsMin && !code_known_.contains(code)) wanted.push_back(code);
  if (wanted.empty() || code_known_.size() >= kInstructionsMax) return;
  std::map<uint64_t, uint64_t> tops;
  ask_each([&](Node& n) {
    const v1::AddressSpacesReply reply = n.client->address_spaces(kAnswer);
    for (const v1::AddressSpace& space : reply.spaces()) tops[space.mm()] = space.page_table();
  });
  std::map<GuestPhys, std::optional<uint64_t>> known;  // instructions of one program share their tables
  const auto read_word = [&](GuestPhys at) -> std::optional<uint64_t> {
    const std::string bytes = peek(at.value(), sizeof(uint64_t));
    uint64_t value = 0;
    if (bytes.size() != sizeof value) return std::nullopt;
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  };
  const auto word = [&](GuestPhys at) {
    const auto [it, is_new] = known.try_emplace(at);
    if (is_new) it->second = read_word(at);
    return it->second;
  };
  for (const auto& [mm, rip] : wanted) {
    if (code_known_.size() >= kInstructionsMax) return;
    if (!tops.contains(mm)) continue;
    const auto at = walk_page_tables(GuestPhys(tops[mm]), GuestVirt(rip), word);
    const std::string bytes = at ? peek(at->value(), kInstructionBytes) : std::string();
    if (bytes.empty()) continue;
    code_known_.insert({mm, rip});
    v1::RecordedCode& code = code_.emplace_back();
    code.set_mm(mm);
    code.set_rip(rip);
    code.set_bytes(bytes);
  }
}

}  // namespace pando::observe
