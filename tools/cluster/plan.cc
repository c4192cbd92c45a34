// SPDX-License-Identifier: Apache-2.0
#include "tools/cluster/plan.h"

#include "base/error.h"

namespace pando::cluster {
namespace {

uint32_t to_ms(config::Nanoseconds time) {
  return static_cast<uint32_t>(std::chrono::ceil<std::chrono::milliseconds>(time).count());
}

uint32_t to_us(config::Nanoseconds time) {
  return static_cast<uint32_t>(std::chrono::ceil<std::chrono::microseconds>(time).count());
}

void set_timeouts(v1::Timeouts& out, const config::TimeoutConfig& in) {
  out.set_connect_ms(to_ms(in.connect));
  out.set_node_loss_ms(to_ms(in.node_loss));
  out.set_vmm_ready_ms(to_ms(in.vmm_ready));
  out.set_shutdown_ms(to_ms(in.shutdown));
  out.set_page_request_ms(to_ms(in.page_request));
}

void set_switches(v1::Switches& out, const config::SwitchConfig& in) {
  if (in.exclusive_grants) out.set_exclusive_grants(*in.exclusive_grants);
  if (in.migratory) out.set_migratory(*in.migratory);
  if (in.hold) out.set_hold_us(to_us(*in.hold));
  if (in.adaptive_hold) out.set_adaptive_hold(*in.adaptive_hold);
  if (in.fault_around_pages) out.set_fault_around_pages(*in.fault_around_pages);
  if (in.spin) out.set_spin_us(to_us(*in.spin));
  if (in.batching) out.set_batching(*in.batching);
  if (in.direct) out.set_direct(*in.direct);
  if (in.runs) out.set_runs(*in.runs);
  if (in.close_at_home) out.set_close_at_home(*in.close_at_home);
  if (in.prefetch_pages) out.set_prefetch_pages(*in.prefetch_pages);
  if (in.delay) out.set_delay_us(to_us(*in.delay));
}

// Others reach a node under its `address` and the port that its agent really has.
std::string reachable(const config::NodeConfig& node, const std::string& listening) {
  const auto real = config::parse_endpoint(listening);
  if (!real)
    throw HostError(
        "node " + node.name + " says that it listens on '" + listening.substr(0, 60) + "'", EPROTO);
  return config::Endpoint{node.address, real->port}.text();
}

std::string cpu_list(const std::vector<int>& cpus) {
  std::string out;
  for (const int cpu : cpus) out += (out.empty() ? "" : ",") + std::to_string(cpu);
  return out;
}

}  // namespace

v1::NodeSpec make_spec(const config::ClusterConfig& config, size_t node,
                       const std::string& cluster_id, const v1::TlsMaterial& tls) {
  const config::NodeConfig& in = config.nodes.at(node);
  v1::NodeSpec out;
  out.set_cluster_id(cluster_id);
  out.set_cluster_name(config.name);
  out.set_node_id(static_cast<uint32_t>(node));
  out.set_node_name(in.name);
  out.set_listen(in.listen.text());
  out.set_memory_bytes(in.memory_bytes);
  out.set_vcpus(in.vcpus);
  out.set_cache_bytes(in.cache_bytes.value_or(0));
  set_timeouts(*out.mutable_timeouts(), config.timeouts);
  if (!tls.ca_certificate().empty()) *out.mutable_tls() = tls;
  out.set_insecure(config.security.insecure);
  set_switches(*out.mutable_switches(), config.switches);
  if (in.metrics) out.set_metrics_listen(in.metrics->text());
  out.set_log_level(config.log_level);
  return out;
}

v1::Plan make_plan(const config::ClusterConfig& config, const std::string& cluster_id,
                   const std::vector<std::string>& listening, const PlanImages& images) {
  CHECK(listening.size() == config.nodes.size());
  v1::Plan out;
  out.set_cluster_id(cluster_id);
  for (size_t id = 0; id < config.nodes.size(); ++id) {
    const config::NodeConfig& in = config.nodes[id];
    v1::PlanNode& node = *out.add_nodes();
    node.set_id(static_cast<uint32_t>(id));
    node.set_name(in.name);
    node.set_address(reachable(in, listening[id]));
    node.set_memory_bytes(in.memory_bytes);
    node.set_vcpus(in.vcpus);
  }
  for (const uint32_t distance : config.distances) out.add_distances(distance);
  out.set_kernel_sha256(images.kernel_sha256);
  for (const std::string& sha256 : images.initrd_sha256) out.add_initrd_sha256(sha256);
  if (!images.kernel_file.empty()) out.add_vmm_arguments("--kernel-name=" + images.kernel_file);
  if (config.wait_debugger) out.add_vmm_arguments("--wait-debugger");
  out.set_command_line(config.append.empty() ? "console=hvc0" : "console=hvc0 " + config.append);
  return out;
}

std::vector<std::string> launch_command(const config::NodeConfig& node,
                                        const std::string& default_program,
                                        const std::string& subcommand) {
  std::vector<std::string> words = node.launch;
  if (!node.cpus.empty()) words.insert(words.end(), {"taskset", "-c", cpu_list(node.cpus)});
  words.push_back(node.program.value_or(default_program));
  words.push_back(subcommand);
  return words;
}

}  // namespace pando::cluster
