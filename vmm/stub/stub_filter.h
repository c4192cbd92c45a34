// SPDX-License-Identifier: Apache-2.0
// The seccomp filter of a stub process.
//
// A system call from outside the stub's code page becomes SIGSYS, that is a system call of the guest.  Inside it, each
// of the few syscall instructions of stub_code.S may make its one system call, with the arguments that matter to
// others than the stub itself; everything else ends the process.  libseccomp cannot look at the instruction pointer,
// so this is written in classic BPF.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <vector>

namespace pando::stub {

// Whether mappings may be made with their pages present (MAP_POPULATE).  Only where no page of guest RAM can belong to
// another node: populating makes pages that the node's agent knows nothing of.
enum class Populate : uint8_t { No, Yes };

std::vector<sock_filter> make_stub_filter(Populate populate);

}  // namespace pando::stub
