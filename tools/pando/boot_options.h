// SPDX-License-Identifier: Apache-2.0
// What `up` and `run` have in common: the cluster file and what the command line changes of it.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>
#include <string>
#include <vector>

#include "tools/config/cluster_config.h"

namespace pando::cli {

struct BootOptions {
  std::string file;
  std::string kernel, append, memory;
  std::vector<std::string> initrds;
  uint32_t vcpus = 0;  // 0 = as the file says
  bool wait_debugger = false;
  bool verbose = false;
};

void describe(CLI::App& command, BootOptions& options);
// As words of a command line.
std::vector<std::string> words_of(const BootOptions& options);
// Reads the file and applies the changes.  Throws UserError.
config::ClusterConfig load(const BootOptions& options);
// Blocks the signals that a session reads from a descriptor; before any thread exists.
void block_session_signals();
// Progress lines on stderr, or nothing.
std::function<void(const std::string&)> progress(bool wanted);

}  // namespace pando::cli
