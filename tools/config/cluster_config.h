// SPDX-License-Identifier: Apache-2.0
// A cluster as asked for: read from a TOML file, validated, complete (defaults of
// tools/config/schema.cc filled in).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/config/quantity.h"

namespace pando::config {

using Nanoseconds = std::chrono::nanoseconds;

struct TimeoutConfig {
  Nanoseconds launch{}, ship{}, connect{}, vmm_ready{}, node_loss{}, page_request{},
      shutdown{};
};

struct SecurityConfig {
  bool tls = false;
  bool insecure = false;
  std::optional<std::string> directory;  // absolute or relative to the working directory
};

// Absent = the agent's own default.
struct SwitchConfig {
  std::optional<bool> exclusive_grants, migratory, adaptive_hold, batching, direct, runs, close_at_home;
  std::optional<Nanoseconds> hold, spin, delay;
  std::optional<uint32_t> fault_around_pages, prefetch_pages;
};

struct NodeConfig {
  std::string name;
  uint64_t memory_bytes = 0;
  uint32_t vcpus = 0;
  std::optional<uint64_t> cache_bytes;
  Endpoint listen;
  std::string address;              // host under which others reach it
  std::vector<std::string> launch;  // empty = on this machine
  std::optional<std::string> program;
  std::vector<int> cpus;  // empty = all
  std::optional<Endpoint> metrics;
};

struct ClusterConfig {
  std::string file;  // as given by the user, for messages
  std::string name;
  std::optional<std::string> kernel;
  std::optional<std::vector<std::string>> initrds;
  std::string append;
  bool wait_debugger = false;  // of the command line: --wait-gdb
  std::vector<uint32_t> distances;  // nodes x nodes, row by row; empty = default
  std::string log_level;
  bool reboot = false;              // pando up starts a guest that reboots again
  TimeoutConfig timeouts;
  SecurityConfig security;
  SwitchConfig switches;
  std::vector<NodeConfig> nodes;
};

// Both throw UserError "file:line:column: sentence with remedy" (exit code 2).  Relative paths in
// the file are made relative to the file's own folder.
ClusterConfig parse_cluster_config(std::string_view text, const std::string& file);
ClusterConfig load_cluster_config(const std::string& file);

}  // namespace pando::config
