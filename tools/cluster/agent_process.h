// SPDX-License-Identifier: Apache-2.0
// A launched agent: a child process of pando (the agent itself, or the ssh or ip that runs it).
//
// Its stdin is the liveness pipe: when that closes, the agent ends the node.  Its stdout carries
// events, one JSON object per line.  Its stderr goes to the node's log file.  It lives in a session
// of its own, so that Ctrl-C at the terminal reaches pando alone.  One thread.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "proto/control.pb.h"
#include "proto/node.pb.h"
#include "tools/cluster/event_reader.h"

namespace pando::cluster {

class AgentProcess {
 public:
  // Throws UserError when the command cannot be started, naming it.
  AgentProcess(const std::vector<std::string>& command, int log_fd);
  // Kills what still runs of it, unless released.
  ~AgentProcess();
  AgentProcess(AgentProcess&&) noexcept;
  AgentProcess& operator=(AgentProcess&&) = delete;

  // The length-prefixed NodeSpec.  False when nobody reads it (the process has ended).
  bool send(const v1::NodeSpec& spec);

  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); }           // readable once it has ended
  int events_fd() const { return events_->fd(); }      // -1 after its end of file
  int liveness_fd() const { return to_agent_.get(); }

  // Those that have arrived; does not block.
  std::vector<v1::Event> read_events() { return events_->read(); }
  // Its wait status once it has ended.
  std::optional<int> ended();
  void close_liveness() { to_agent_.reset(); }
  void kill();
  // From here on somebody else supervises it.
  void release() { pid_ = -1; }

 private:
  pid_t pid_ = -1;
  UniqueFd pidfd_, to_agent_;
  std::optional<EventReader> events_;  // always there: the constructor starts the process first
  std::optional<int> wait_status_;
};

// "ended with status 127", "was killed by signal 9"
std::string describe_wait_status(int status);

}  // namespace pando::cluster
