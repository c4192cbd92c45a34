// SPDX-License-Identifier: Apache-2.0
// GDB as a child, on a private socket of ours.
#pragma once

#include <string>
#include <vector>

#include "tools/gdb/cluster_target.h"

namespace pando::gdb {

struct GdbOptions {
  std::string program = "gdb";
  std::vector<std::string> arguments;  // after ours
  std::string kernel_file;
};

// Starts GDB on the kernel file, connected to the cluster, and serves it.  Returns its exit code.
int run_gdb(ClusterTarget& target, const GdbOptions& options);

}  // namespace pando::gdb
