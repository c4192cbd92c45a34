// SPDX-License-Identifier: Apache-2.0
// The process from which all stub processes are forked.
//
// It is forked itself when the VMM is still small and single-threaded and has no seccomp filter: so a new stub costs
// the fork of a small process, inherits no filter of the VMM, and the VMM needs no right to fork.  It holds the guest
// RAM's descriptor and nothing else of the host, has no capability, and dies with the VMM; stubs die with it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <mutex>

#include "base/unique_fd.h"
#include "vmm/stub/stub_filter.h"

namespace pando::stub {

// A stub as it was born: stopped in its first trap.
struct NewStub {
  pid_t pid = -1;
  UniqueFd pidfd;
  UniqueFd uffd;    // userfaultfd of the stub, no handshake made yet
  UniqueFd pipe;    // read end; end of file when the stub is dead
  UniqueFd memory;  // STUB_MEMORY_BYTES: control, report, stack
};

class Nursery {
 public:
  Nursery(int ram_fd, Populate populate);
  ~Nursery();
  Nursery(const Nursery&) = delete;
  Nursery& operator=(const Nursery&) = delete;

  // Thread-safe; takes some 100 us.  Throws HostError; UserError when userfaultfd or seccomp is refused.
  NewStub make();

 private:
  UniqueFd socket_;
  UniqueFd pidfd_;
  pid_t pid_ = -1;
  std::mutex mutex_;  // one request at a time
};

}  // namespace pando::stub
