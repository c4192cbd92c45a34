// SPDX-License-Identifier: Apache-2.0
// What a forked child of the nursery does until it is a stub.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "vmm/stub/stub_filter.h"

namespace pando::stub {

enum class BirthStep : uint32_t {
  Alive,  // descriptors are in this message; what fails later is written to the pipe
  Fork,
  Userfaultfd,
  Pipe,
  Pidfd,
  Mapping,
  Signals,
  NoNewPrivileges,
  Rseq,
};

struct BirthReport {
  BirthStep step = BirthStep::Alive;
  int32_t error = 0;  // errno; of Alive: the process id
};

struct BirthPlan {
  pid_t nursery;
  int socket;
  int ram;
  int code;
  int memory;
  Populate populate;
};

// Sends {pidfd, uffd, pipe} over the socket, builds the address space of a stub, sets the filter, and runs into the
// first trap.
[[noreturn]] void be_born(const BirthPlan& plan);

// A sentence for each step.
[[noreturn]] void throw_birth_failure(const BirthReport& report);

}  // namespace pando::stub
