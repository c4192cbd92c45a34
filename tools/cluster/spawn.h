// SPDX-License-Identifier: Apache-2.0
// Starting programs: in a session of their own, with clean signals, with just the descriptors that
// are meant for them.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace pando::cluster {

struct SpawnFds {
  int in = -1, out = -1, error = -1;
  std::vector<int> passed = {};  // kept open under their own numbers
};

// Looks the program up in PATH; `program` replaces command[0] as what is run.  Throws UserError
// when it cannot be started, naming the command.
pid_t spawn(const std::vector<std::string>& command, const SpawnFds& fds,
            const char* program = nullptr);

std::string joined(const std::vector<std::string>& words);

struct Captured {
  std::optional<int> wait_status;  // absent: it was killed after the time limit
  std::string out, error;          // each at most 1 MiB
};
// Runs a command to its end, with empty input.  Throws UserError as spawn().
Captured capture(const std::vector<std::string>& command, std::chrono::nanoseconds limit);

}  // namespace pando::cluster
