// SPDX-License-Identifier: Apache-2.0
#include "tools/observe/summary.h"

#include <algorithm>

#include "tools/observe/hot_places.h"

namespace pando::observe {

namespace {

// Counters only grow; a node that could not be asked at the end has none.
uint64_t grown(uint64_t before, uint64_t after) { return after > before ? after - before : 0; }

uint64_t counter(const v1::StatusReply& status, const std::string& name) {
  for (const v1::Counter& c : status.counters())
    if (c.name() == name) return c.value();
  return 0;
}

const v1::PeerStatus* peer(const v1::StatusReply& status, uint32_t node) {
  for (const v1::PeerStatus& p : status.peers())
    if (p.node() == node) return &p;
  return nullptr;
}

void add_buckets(const v1::StatusReply& status, const std::string& leg, int64_t sign, std::map<uint64_t, int64_t>& out) {
  for (const v1::Histogram& h : status.latencies())
    if (h.name() == leg)
      for (const v1::HistogramBucket& b : h.buckets()) out[b.upper_ns()] += sign * static_cast<int64_t>(b.count());
}

uint64_t rank(std::vector<uint64_t>& sorted, double share) {
  if (sorted.empty()) return 0;
  return sorted[std::min(sorted.size() - 1, static_cast<size_t>(share * static_cast<double>(sorted.size())))];
}

NodeSummary summarize(const v1::RecordedNode& node, double seconds) {
  NodeSummary s;
  s.id = node.id();
  s.name = node.name();
  s.error = node.error();
  s.faults_lost = node.faults_lost();
  s.events_lost = node.events_lost();
  if (!s.error.empty()) return s;
  const v1::StatusReply &a = node.before(), &b = node.after();
  // The node's own clock: the answers took their time.
  const double here = b.monotonic_ns() > a.monotonic_ns() ? static_cast<double>(b.monotonic_ns() - a.monotonic_ns()) * 1e-9
                                                          : seconds;
  const auto rate = [&](uint64_t n) { return static_cast<double>(n) / here; };
  s.guest_cpus = rate(grown(a.vmm_cpu_ns(), b.vmm_cpu_ns())) * 1e-9;
  s.agent_cpus = rate(grown(a.agent_cpu_ns(), b.agent_cpu_ns())) * 1e-9;
  s.faults_per_s = rate(grown(a.faults_remote(), b.faults_remote()));
  s.served_per_s = rate(counted(node, "pages_out"));
  std::vector<uint64_t> waits;
  for (const v1::FaultRecord& fault : node.faults()) waits.push_back(fault.wait_ns());
  std::ranges::sort(waits);
  s.wait_p50_ns = rank(waits, 0.5);
  s.wait_p99_ns = rank(waits, 0.99);
  return s;
}

}  // namespace

uint64_t counted(const v1::RecordedNode& node, const std::string& name) {
  return grown(counter(node.before(), name), counter(node.after(), name));
}

std::vector<Traffic> traffic_of(const v1::Recording& recording) {
  std::vector<Traffic> all;
  for (const v1::RecordedNode& to : recording.nodes()) {
    for (const v1::PeerStatus& after : to.after().peers()) {
      const v1::PeerStatus* before = peer(to.before(), after.node());
      const v1::PeerStatus& base = before ? *before : v1::PeerStatus::default_instance();
      all.push_back({after.node(), to.id(), grown(base.bytes_in(), after.bytes_in()),
                     grown(base.pages_in(), after.pages_in()),
                     grown(base.page_messages_in(), after.page_messages_in()),
                     grown(base.fabric_in(), after.fabric_in())});
    }
  }
  return all;
}

std::vector<NodeSummary> summarize(const v1::Recording& recording) {
  const double seconds = seconds_of(recording);
  std::vector<NodeSummary> nodes;
  for (const v1::RecordedNode& node : recording.nodes()) nodes.push_back(summarize(node, seconds));
  for (const Traffic& t : traffic_of(recording)) {
    for (NodeSummary& node : nodes) {
      if (node.id == t.to) node.bytes_in_per_s += static_cast<double>(t.bytes) / seconds;
      if (node.id == t.from) node.bytes_out_per_s += static_cast<double>(t.bytes) / seconds;
    }
  }
  return nodes;
}

std::map<uint64_t, uint64_t> leg_histogram(const v1::Recording& recording, const std::string& leg) {
  std::map<uint64_t, int64_t> sums;
  for (const v1::RecordedNode& node : recording.nodes()) {
    if (!node.error().empty()) continue;
    add_buckets(node.before(), leg, -1, sums);
    add_buckets(node.after(), leg, 1, sums);
  }
  std::map<uint64_t, uint64_t> out;
  for (const auto& [upper, count] : sums)
    if (count > 0) out[upper] = static_cast<uint64_t>(count);
  return out;
}

uint64_t quantile(const std::map<uint64_t, uint64_t>& histogram, double share) {
  uint64_t all = 0, seen = 0;
  for (const auto& [upper, count] : histogram) all += count;
  const auto rank = static_cast<uint64_t>(share * static_cast<double>(all));
  for (const auto& [upper, count] : histogram) {
    seen += count;
    if (seen > rank) return upper;
  }
  return 0;
}

}  // namespace pando::observe
