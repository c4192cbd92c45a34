// SPDX-License-Identifier: Apache-2.0
// The node's VMM as a child of the agent: dies with the agent (PDEATHSIG), ends before the agent does.
// Made, watched and destroyed by the agent's main thread only: PDEATHSIG is tied to the thread that forks.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace pando::dsm {

class VmmProcess {
 public:
  // Runs `program` with the arguments; `kept_fds` stay open in it under the same numbers, standard input is empty,
  // standard output goes to our standard error.  Throws HostError.
  VmmProcess(const std::string& program, const std::vector<std::string>& arguments, const std::vector<int>& kept_fds);
  ~VmmProcess();  // kills it if it still runs, and everything it left behind
  VmmProcess(const VmmProcess&) = delete;
  VmmProcess& operator=(const VmmProcess&) = delete;

  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); }  // readable when it has ended
  // Its wait status once it has ended; waits for that at most `limit`.
  std::optional<int> wait(std::chrono::milliseconds limit);
  // Collects ended children but the VMM: what it left behind.
  void reap_orphans();
  void kill();

 private:
  pid_t pid_ = -1;
  UniqueFd pidfd_;
  std::optional<int> status_;
};

// "exited with status 3", "was killed by signal 9 (Killed)"
std::string describe_wait_status(int status);

}  // namespace pando::dsm
