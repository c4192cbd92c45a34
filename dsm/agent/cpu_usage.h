// SPDX-License-Identifier: Apache-2.0
// CPU time that processes have used, from /proc.  Any thread.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace pando::dsm {

// Nanoseconds, user and system, of a process, its living descendants, and the dead ones that were waited for.  0: there
// is no such process.
uint64_t tree_cpu_ns(pid_t root);
uint64_t own_cpu_ns();

}  // namespace pando::dsm
