// SPDX-License-Identifier: Apache-2.0
// The seccomp filter of a stub process.
//
// A system call from outside the stub's code page becomes SIGSYS, that is a system call of the guest.  Inside it, each
// of the few syscall instructions of stub_code.S may make its one system call, with the arguments that matter to
// others than the stub itself; everything else ends the process.  libseccomp cannot look at the instruction pointer,
// so this is written in classic BPF.
#pragma once

#include <linux/filter.h>

#include <vector>

namespace pando::stub {

std::vector<sock_filter> make_stub_filter();

}  // namespace pando::stub
