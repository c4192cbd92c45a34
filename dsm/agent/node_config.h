// SPDX-License-Identifier: Apache-2.0
// NodeSpec and Plan, checked once, with the defaults filled in: the only place where defaults stand.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/types.h"
#include "dsm/shm/layout.h"
#include "proto/node.pb.h"

namespace pando::dsm {

struct NodeTimeouts {
  std::chrono::milliseconds connect{15'000};
  std::chrono::milliseconds node_loss{3'000};
  std::chrono::milliseconds vmm_ready{20'000};
  std::chrono::milliseconds shutdown{2'000};
  std::chrono::milliseconds page_request{10'000};
  std::chrono::milliseconds plan{120'000};
};

struct NodeSwitches {
  bool exclusive_grants = true;
  bool migratory = true;
  std::chrono::microseconds hold{100};
  bool adaptive_hold = true;
  uint32_t fault_around_pages = 16;
  std::chrono::microseconds spin{0};
  bool batching = true;
  std::chrono::microseconds delay{0};
  uint32_t prefetch_pages = 128;
  bool runs = true;
  bool close_at_home = true;
  bool realtime = true;
  bool direct = true;
};

struct NodeConfig {
  std::string cluster_id, cluster_name, node_name;
  NodeId self{};
  std::string listen;
  uint64_t memory_bytes = 0;
  uint32_t vcpus = 0;
  uint64_t cache_pages = 0;  // 0: no limit
  NodeTimeouts timeouts;
  NodeSwitches switches;
  v1::TlsMaterial tls;
  bool has_tls = false;
  bool detached = false;
  std::string vmm_program, metrics_listen, log_level;
};

// Throws UserError: one sentence that names the field.
NodeConfig check_spec(const v1::NodeSpec& spec);

struct PlannedNode {
  std::string name, address;
  SharedNodeRange range{};
  uint32_t vcpus = 0;
};
struct ClusterPlan {
  std::vector<PlannedNode> nodes;  // by id
  std::vector<uint8_t> vcpu_node;
  std::vector<uint8_t> distances;
  std::string kernel_sha256;
  std::vector<std::string> initrd_sha256;
  std::string command_line;
  NodeId console_node{};
  std::vector<std::string> vmm_arguments;
  std::string digest;  // of the whole plan; equal on all nodes
  uint64_t ram_bytes() const { return nodes.back().range.start + nodes.back().range.bytes; }
};

// Throws UserError.
ClusterPlan check_plan(const v1::Plan& plan, const NodeConfig& node);

bool is_loopback(const std::string& address);  // "127.x.y.z:port", "[::1]:port", "localhost:port"

}  // namespace pando::dsm
