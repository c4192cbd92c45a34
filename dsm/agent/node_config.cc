// SPDX-License-Identifier: Apache-2.0
#include "dsm/agent/node_config.h"

#include <unistd.h>

#include "base/error.h"
#include "dsm/agent/sha256.h"

namespace pando::dsm {

namespace {

void require(bool good, const std::string& sentence) {
  if (!good) throw UserError(sentence);
}

void override_ms(std::chrono::milliseconds& value, uint32_t given) {
  if (given != 0) value = std::chrono::milliseconds(given);
}

NodeTimeouts timeouts_of(const v1::Timeouts& given) {
  NodeTimeouts t;
  override_ms(t.connect, given.connect_ms());
  override_ms(t.node_loss, given.node_loss_ms());
  override_ms(t.vmm_ready, given.vmm_ready_ms());
  override_ms(t.shutdown, given.shutdown_ms());
  override_ms(t.page_request, given.page_request_ms());
  require(t.node_loss.count() >= 100, "timeouts.node_loss_ms must be at least 100");
  return t;
}

NodeSwitches switches_of(const v1::Switches& given) {
  NodeSwitches s;
  if (given.has_exclusive_grants()) s.exclusive_grants = given.exclusive_grants();
  if (given.has_migratory()) s.migratory = given.migratory();
  if (given.has_hold_us()) s.hold = std::chrono::microseconds(given.hold_us());
  if (given.has_adaptive_hold()) s.adaptive_hold = given.adaptive_hold();
  if (given.has_fault_around_pages()) s.fault_around_pages = given.fault_around_pages();
  if (given.has_spin_us()) s.spin = std::chrono::microseconds(given.spin_us());
  if (given.has_delay_us()) s.delay = std::chrono::microseconds(given.delay_us());
  if (given.has_batching()) s.batching = given.batching();
  if (given.has_realtime()) s.realtime = given.realtime();
  if (given.has_runs()) s.runs = given.runs();
  if (given.has_close_at_home()) s.close_at_home = given.close_at_home();
  if (given.has_direct()) s.direct = given.direct();
  if (given.has_prefetch_pages()) s.prefetch_pages = given.prefetch_pages();
  require(s.prefetch_pages <= 256, "switches.prefetch_pages must be at most 256");
  const uint32_t around = s.fault_around_pages;
  require(around >= 1 && around <= 64 && (around & (around - 1)) == 0,
          "switches.fault_around_pages must be a power of two between 1 and 64");
  require(s.hold <= std::chrono::milliseconds(100), "switches.hold_us must be at most 100000");
  require(s.spin <= std::chrono::milliseconds(10), "switches.spin_us must be at most 10000");
  require(s.delay <= std::chrono::seconds(1), "switches.delay_us must be at most 1000000");
  return s;
}

std::string beside_this_program(const std::string& name) {
  char path[4096];
  const ssize_t n = readlink("/proc/self/exe", path, sizeof path);
  const std::string self(path, n > 0 ? static_cast<size_t>(n) : 0);
  return self.substr(0, self.rfind('/') + 1) + name;
}

std::vector<uint8_t> distances_of(const v1::Plan& plan) {
  const int nodes = plan.nodes_size();
  std::vector<uint8_t> result;
  for (int i = 0; i < nodes * nodes; ++i) result.push_back(i / nodes == i % nodes ? 10 : 100);
  if (plan.distances_size() == 0) return result;
  require(plan.distances_size() == nodes * nodes, "plan: distances must be empty or nodes x nodes");
  for (int i = 0; i < nodes * nodes; ++i) {
    require(plan.distances(i) >= 10 && plan.distances(i) <= 254, "plan: distances lie between 10 and 254");
    result[static_cast<size_t>(i)] = static_cast<uint8_t>(plan.distances(i));
  }
  return result;
}

void add_nodes(const v1::Plan& plan, ClusterPlan& result) {
  require(plan.nodes_size() >= 1 && plan.nodes_size() <= kNodesMax,
          "plan: between 1 and " + std::to_string(kNodesMax) + " nodes");
  uint64_t at = 0;
  for (int i = 0; i < plan.nodes_size(); ++i) {
    const v1::PlanNode& n = plan.nodes(i);
    const std::string who = "plan: node " + std::to_string(i);
    require(n.id() == static_cast<uint32_t>(i), who + ": ids must ascend from 0 without gaps");
    require(n.memory_bytes() >= kPageSize && n.memory_bytes() % kPageSize == 0 && n.memory_bytes() <= uint64_t{1} << 40,
            who + ": memory must be whole pages, at most 1 TiB");
    require(n.vcpus() <= kVcpusMax && result.vcpu_node.size() + n.vcpus() <= kVcpusMax,
            who + ": more than " + std::to_string(kVcpusMax) + " vCPUs in all");
    result.nodes.push_back({n.name(), n.address(), {at, n.memory_bytes()}, n.vcpus()});
    result.vcpu_node.insert(result.vcpu_node.end(), n.vcpus(), static_cast<uint8_t>(i));
    at += n.memory_bytes();
  }
  require(at >> kPageShift <= UINT32_MAX, "plan: more guest memory than page numbers");
}

}  // namespace

bool is_loopback(const std::string& address) {
  return address.starts_with("127.") || address.starts_with("[::1]:") || address.starts_with("localhost:");
}

NodeConfig check_spec(const v1::NodeSpec& spec) {
  NodeConfig c;
  require(!spec.cluster_id().empty() && spec.cluster_id().size() <= 128, "spec: cluster_id is missing or too long");
  require(spec.node_id() < static_cast<uint32_t>(kNodesMax), "spec: node_id is too big");
  require(!spec.listen().empty(), "spec: listen is missing");
  require(spec.memory_bytes() >= kPageSize && spec.memory_bytes() % kPageSize == 0, "spec: memory must be whole pages");
  c.cluster_id = spec.cluster_id();
  c.cluster_name = spec.cluster_name();
  c.node_name = spec.node_name().empty() ? "node" + std::to_string(spec.node_id()) : spec.node_name();
  c.self = NodeId(static_cast<uint8_t>(spec.node_id()));
  c.listen = spec.listen();
  c.memory_bytes = spec.memory_bytes();
  c.vcpus = spec.vcpus();
  c.cache_pages = spec.cache_bytes() >> kPageShift;
  require(spec.cache_bytes() == 0 || c.cache_pages >= 64, "spec: cache_bytes must be 0 or at least 256 KiB");
  c.timeouts = timeouts_of(spec.timeouts());
  c.switches = switches_of(spec.switches());
  c.has_tls = spec.has_tls();
  c.tls = spec.tls();
  require(c.has_tls || spec.insecure() || is_loopback(c.listen),
          "spec: no TLS certificates, and " + c.listen +
              " is not a loopback address: run 'pando init' for certificates, or set insecure = true");
  c.detached = spec.detached();
  c.vmm_program = spec.vmm_program().empty() ? beside_this_program("pando-vmm") : spec.vmm_program();
  c.metrics_listen = spec.metrics_listen();
  require(c.metrics_listen.empty() || spec.insecure() || is_loopback(c.metrics_listen),
          "spec: metrics_listen must be a loopback address: the page is not protected");
  c.log_level = spec.log_level().empty() ? "info" : spec.log_level();
  return c;
}

ClusterPlan check_plan(const v1::Plan& plan, const NodeConfig& node) {
  ClusterPlan result;
  require(plan.cluster_id() == node.cluster_id, "plan: it belongs to another cluster id");
  add_nodes(plan, result);
  const size_t self = node.self.value();
  require(self < result.nodes.size(), "plan: this node is not in it");
  require(result.nodes[self].range.bytes == node.memory_bytes && result.nodes[self].vcpus == node.vcpus,
          "plan: memory or vCPUs of this node differ from what it was started with");
  result.distances = distances_of(plan);
  require(plan.kernel_sha256().empty() || is_sha256(plan.kernel_sha256()), "plan: kernel_sha256 is no SHA-256");
  for (const std::string& s : plan.initrd_sha256()) require(is_sha256(s), "plan: initrd_sha256 is no SHA-256");
  require(plan.command_line().size() < 4096, "plan: the kernel command line is longer than 4095 bytes");
  require(plan.console_node() < result.nodes.size(), "plan: console_node is not in it");
  result.kernel_sha256 = plan.kernel_sha256();
  result.initrd_sha256 = {plan.initrd_sha256().begin(), plan.initrd_sha256().end()};
  result.command_line = plan.command_line();
  result.console_node = NodeId(static_cast<uint8_t>(plan.console_node()));
  result.vmm_arguments = {plan.vmm_arguments().begin(), plan.vmm_arguments().end()};
  Sha256 digest;
  digest.add(plan.SerializeAsString());
  result.digest = digest.hex();
  return result;
}

}  // namespace pando::dsm
