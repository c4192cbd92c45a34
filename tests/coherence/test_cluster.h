// SPDX-License-Identifier: Apache-2.0
// A cluster of real agents for tests and benches: runs `pando-dsm serve` for each node, sends the plan, reads the
// events, waits for the end.  The VMM of each node is a program of the test's choice (worker.h).
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "proto/control.grpc.pb.h"
#include "proto/node.pb.h"

namespace pando::test {

struct TestClusterOptions {
  int nodes = 2;
  uint64_t bytes_per_node = 16 << 20;
  uint32_t vcpus_per_node = 1;
  std::string worker;                         // program that plays the VMM
  std::vector<std::string> arguments;         // for it
  v1::NodeSpec spec;                          // what all nodes' specifications have in common: switches, limits
  std::vector<v1::TlsMaterial> node_tls;      // per node; empty = plaintext
  v1::TlsMaterial operator_tls;
  std::vector<std::vector<std::string>> launch;  // per node, before the agent's command; empty = none
  std::vector<std::string> addresses;            // per node; empty = 127.0.0.1
  bool allow_insecure = true;                    // plaintext on these addresses
  int absent_node = -1;                          // in the plan, but played by the test itself
};

class TestCluster {
 public:
  // Starts the agents and sends the plan to all.  Throws std::runtime_error.
  explicit TestCluster(const TestClusterOptions& options);
  ~TestCluster();  // kills what still runs

  // The exit event that each agent printed, and its process's exit code.
  struct NodeEnd {
    std::optional<v1::ExitStatus> exit;
    int wait_status = -1;
    std::chrono::steady_clock::time_point at{};
  };
  // Waits until every agent has ended, at most `limit`; agents that have not are missing from the result.
  std::map<int, NodeEnd> wait(std::chrono::milliseconds limit);
  // Waits until node's agent reported this phase (or a later one); false after `limit`.
  bool wait_phase(int node, v1::Phase phase, std::chrono::milliseconds limit);

  pid_t agent_pid(int node) const { return agents_[static_cast<size_t>(node)].pid; }
  pid_t vmm_pid(int node);
  v1::Control::Stub& control(int node) { return *agents_[static_cast<size_t>(node)].control; }
  v1::StatusReply status(int node);
  const v1::Plan& plan() const { return plan_; }
  const std::string& address(int node) const { return agents_[static_cast<size_t>(node)].address; }

 private:
  struct AgentProcess {
    pid_t pid = -1;
    UniqueFd input, output;
    std::string unread;
    std::string address;
    v1::Phase phase = v1::PHASE_IDLE;
    NodeEnd end;
    bool ended = false;
    std::unique_ptr<v1::Control::Stub> control;
  };
  void start_agent(int node);
  void send_plan();
  bool read_events(std::chrono::milliseconds limit);  // from all; false: nothing came
  void take_lines(AgentProcess& agent);

  TestClusterOptions options_;
  v1::Plan plan_;
  std::vector<AgentProcess> agents_;
};

// Path of another program of this build, or of the folder PANDO_TEST_PROGRAMS (tests/sanitize/run).
std::string program_beside(const std::string& name);

}  // namespace pando::test
