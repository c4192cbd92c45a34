// SPDX-License-Identifier: Apache-2.0
// What Control.Status tells.
#include <unistd.h>

#include "dsm/agent/agent.h"
#include "dsm/agent/cpu_usage.h"

namespace pando::dsm {

namespace {

void add_counters(const CoherenceMetrics& m, v1::StatusReply& reply) {
  const std::pair<const char*, uint64_t> counters[] = {
      {"requests_read", m.requests_read},   {"requests_write", m.requests_write},
      {"prefetches", m.prefetches},         {"pages_in", m.pages_in},
      {"zero_pages_in", m.zero_in},         {"pages_out", m.pages_out},
      {"invalidations", m.invalidations},   {"downgrades", m.downgrades},
      {"evictions", m.evictions},           {"parked", m.parked},
      {"stale_epoch", m.stale_epoch},       {"overload", m.overload},
      {"protocol_errors", m.protocol_errors}};
  for (const auto& [name, value] : counters) {
    v1::Counter* c = reply.add_counters();
    c->set_name(name);
    c->set_value(value);
  }
}

void add_latency(const char* name, const LatencyHistogram& h, v1::StatusReply& reply) {
  v1::Histogram* out = reply.add_latencies();
  out->set_name(name);
  out->set_count(h.count());
  out->set_p50_ns(h.quantile(0.5));
  out->set_p90_ns(h.quantile(0.9));
  out->set_p99_ns(h.quantile(0.99));
  out->set_max_ns(h.max());
  out->set_sum_ns(h.sum());
  h.for_each_bucket([&](uint64_t upper_ns, uint64_t count) {
    v1::HistogramBucket* bucket = out->add_buckets();
    bucket->set_upper_ns(upper_ns);
    bucket->set_count(count);
  });
}

}  // namespace

void Agent::status(v1::StatusReply& reply) {
  reply.set_node(config_.self.value());
  reply.set_node_name(config_.node_name);
  reply.set_cluster_name(config_.cluster_name);
  reply.set_phase(events_.phase());
  reply.set_vcpus(config_.vcpus);
  reply.set_agent_pid(getpid());
  reply.set_pages_home(config_.memory_bytes >> kPageShift);
  reply.set_monotonic_ns(monotonic_now_ns());
  reply.set_agent_cpu_ns(own_cpu_ns());
  if (metrics_) reply.set_metrics_address(metrics_->address());
  const Machine* machine = machine_view_.load(std::memory_order_acquire);
  if (!machine) return;
  reply.set_vmm_pid(machine->vmm_pid);
  reply.set_vmm_cpu_ns(tree_cpu_ns(machine->vmm_pid));
  reply.set_faults_remote(machine->control->header().fault_sequence.load(std::memory_order_relaxed));
  reply.set_page_first(machine->control->header().nodes[config_.self.value()].start >> kPageShift);
  reply.set_pages_foreign(machine->coherence->pages_foreign());
  for (uint8_t n = 0; n < machine->plan.nodes.size(); ++n) {
    if (NodeId(n) == config_.self) continue;
    const ClockEstimate clock = machine->mesh->clock(NodeId(n));
    v1::PeerStatus* peer = reply.add_peers();
    peer->set_node(n);
    peer->set_name(machine->plan.nodes[n].name);
    peer->set_address(machine->plan.nodes[n].address);
    peer->set_connected(machine->mesh->connected(NodeId(n)));
    peer->set_round_trip_ns(clock.round_trip_ns);
    peer->set_clock_offset_ns(clock.offset_ns);
    peer->set_clock_error_ns(clock.error_ns);
    traffic_.tell(NodeId(n), *peer);
  }
  const CoherenceMetrics& m = machine->coherence->metrics();
  add_counters(m, reply);
  add_latency("post", m.post, reply);
  add_latency("request", m.request, reply);
  add_latency("answer", m.answer, reply);
  add_latency("home", m.home, reply);
  add_latency("serve", m.serve, reply);
  add_latency("revoke", m.revoke, reply);
  add_latency("install", m.install, reply);
  add_latency("hold", m.hold, reply);
}

}  // namespace pando::dsm
