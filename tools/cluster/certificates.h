// SPDX-License-Identifier: Apache-2.0
// The TLS material of a cluster: fresh for one start, or from the folder that pando init fills.
#pragma once

#include <string>
#include <vector>

#include "proto/node.pb.h"
#include "tools/config/cluster_config.h"

namespace pando::cluster {

struct Certificates {
  std::vector<v1::TlsMaterial> nodes;  // by node id; empty messages when TLS is off
  v1::TlsMaterial operator_tls;
};

// Throws UserError naming the file of `security.directory` that is missing or unreadable.
Certificates certificates_for(const config::ClusterConfig& config);

// Writes ca.pem, ca.key, operator.pem, operator.key, NODE.pem, NODE.key into the folder, which is
// made.  An authority that is there already signs again, so that nodes can be added.  Returns the
// files written.
std::vector<std::string> write_certificates(const config::ClusterConfig& config,
                                            const std::string& folder);

}  // namespace pando::cluster
