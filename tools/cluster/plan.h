// SPDX-License-Identifier: Apache-2.0
// From the cluster file to what agents are told.  Pure functions.
#pragma once

#include <string>
#include <vector>

#include "proto/node.pb.h"
#include "tools/config/cluster_config.h"

namespace pando::cluster {

// What a node is told when it starts.  `tls` may be empty (plaintext).
v1::NodeSpec make_spec(const config::ClusterConfig& config, size_t node,
                       const std::string& cluster_id, const v1::TlsMaterial& tls);

struct PlanImages {
  std::string kernel_sha256;
  std::string kernel_file;  // for messages
  std::vector<std::string> initrd_sha256;
};
// What all nodes are told.  `listening`: by node id, where each agent really listens
// ("address:port").
v1::Plan make_plan(const config::ClusterConfig& config, const std::string& cluster_id,
                   const std::vector<std::string>& listening, const PlanImages& images);

// The command that starts a node's agent.  `default_program`: the pando-dsm beside the running
// pando.
std::vector<std::string> launch_command(const config::NodeConfig& node,
                                        const std::string& default_program,
                                        const std::string& subcommand);

}  // namespace pando::cluster
