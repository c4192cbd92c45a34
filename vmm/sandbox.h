// SPDX-License-Identifier: Apache-2.0
// The VMM's own sandbox: once everything is set up it has no use for files, sockets or new programs.
#pragma once

namespace pando::vmm {

// no_new_privs and a seccomp filter for all threads of the process.  Whatever is not allowed fails with EPERM, so
// that a library's optional call does no harm; execve, open, socket, connect and ptrace end the process.
// Throws HostError.
void enter_sandbox();

}  // namespace pando::vmm
