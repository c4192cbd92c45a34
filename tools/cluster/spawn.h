// SPDX-License-Identifier: Apache-2.0
// Starting programs: in a process group of their own, with clean signals, with just the descriptors
// that are meant for them.
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

// Both are out of reach of the terminal: its keys signal neither, and who asks it for a password (ssh)
// gets an error instead of being stopped.  The nodes of one host stay in one session: the scheduler
// shares CPUs out among sessions first (autogroup), and Linux 6.18 then starves some of them for
// tens of seconds (docs/design/0007).
enum class Apart { Group, Session };

// Looks the program up in PATH; `program` replaces command[0] as what is run.  Throws UserError
// when it cannot be started, naming the command.
pid_t spawn(const std::vector<std::string>& command, const SpawnFds& fds, Apart apart = Apart::Group,
            const char* program = nullptr);

std::string joined(const std::vector<std::string>& words);

struct Captured {
  std::optional<int> wait_status;  // absent: it was killed after the time limit
  std::string out, error;          // each at most 1 MiB
};
// Runs a command to its end, with empty input.  Throws UserError as spawn().
Captured capture(const std::vector<std::string>& command, std::chrono::nanoseconds limit);

}  // namespace pando::cluster
