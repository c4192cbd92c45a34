// SPDX-License-Identifier: Apache-2.0
// What keeps a detached cluster alive: a small process (`pando hold`) that holds the liveness pipes
// of the agents, drains their events, and cleans up when they end.  Killing it ends the cluster.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "tools/cluster/agent_process.h"
#include "tools/cluster/runtime_dir.h"

namespace pando::cluster {

// Descriptors of one agent, as numbers on the keeper's command line.
struct HeldAgent {
  pid_t pid = -1;
  int pidfd = -1, liveness_fd = -1, events_fd = -1;
  static HeldAgent of(const AgentProcess& process);
  static HeldAgent parse(const std::string& text);  // throws UserError
  std::string text() const;
};

// Starts `pando hold`, handing on the lock, the descriptors and the command that starts the cluster
// again when its guest reboots (empty: none).  Returns its process id.
pid_t start_keeper(const RuntimeDir& runtime, const std::vector<HeldAgent>& agents,
                   std::chrono::nanoseconds grace, const std::vector<std::string>& restart);

enum class KeptUntil : uint8_t { End, Reboot };

// The body of `pando hold`: until all agents have ended.  After the first end, or SIGTERM, the
// others get `grace`, then they are killed.
KeptUntil keep(const std::string& runtime_path, int lock_fd, const std::vector<HeldAgent>& agents,
               std::chrono::milliseconds grace);

}  // namespace pando::cluster
