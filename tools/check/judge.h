// SPDX-License-Identifier: Apache-2.0
// What the hosts' reports mean for a cluster: findings with their remedies.  Pure.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "proto/host.pb.h"
#include "tools/config/cluster_config.h"

namespace pando::check {

enum class Severity : uint8_t { Fine, Warning, Error };

struct Finding {
  std::string node;
  Severity severity = Severity::Fine;
  std::string sentence;
  std::string remedy;  // empty when fine
};

struct NodeReport {
  v1::HostReport host;
  std::chrono::nanoseconds clock_ahead{};  // of the node's clock before the operator's
  std::chrono::nanoseconds clock_error{};  // of that figure
};

// `reports`: one per node of the config.
std::vector<Finding> judge(const config::ClusterConfig& config,
                           const std::vector<NodeReport>& reports);

}  // namespace pando::check
