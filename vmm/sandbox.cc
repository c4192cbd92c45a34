// SPDX-License-Identifier: Apache-2.0
#include "vmm/sandbox.h"

#include <seccomp.h>
#include <sys/prctl.h>

#include <memory>

#include "base/error.h"

namespace pando::vmm {

namespace {

// What vCPU threads, the fabric and worker threads, and the making of stub processes need.
constexpr int kAllowed[] = {
    SCMP_SYS(futex), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(sigaltstack), SCMP_SYS(tgkill), SCMP_SYS(kill), SCMP_SYS(pidfd_send_signal), SCMP_SYS(pidfd_open),
    SCMP_SYS(pidfd_getfd), SCMP_SYS(waitid), SCMP_SYS(wait4), SCMP_SYS(clone), SCMP_SYS(clone3),
    SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(set_tid_address), SCMP_SYS(arch_prctl),
    SCMP_SYS(prctl), SCMP_SYS(seccomp), SCMP_SYS(close), SCMP_SYS(close_range), SCMP_SYS(dup3), SCMP_SYS(dup),
    SCMP_SYS(dup2), SCMP_SYS(fcntl),
    SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mprotect), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk),
    SCMP_SYS(fallocate), SCMP_SYS(pread64), SCMP_SYS(pwrite64), SCMP_SYS(read), SCMP_SYS(write),
    SCMP_SYS(writev), SCMP_SYS(lseek), SCMP_SYS(fstat), SCMP_SYS(ioctl), SCMP_SYS(userfaultfd),
    SCMP_SYS(timer_create), SCMP_SYS(timer_settime), SCMP_SYS(timer_delete), SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep), SCMP_SYS(pause), SCMP_SYS(restart_syscall),
    SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_setaffinity), SCMP_SYS(getpid),
    SCMP_SYS(gettid), SCMP_SYS(getcpu), SCMP_SYS(getrandom), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(exit),
    SCMP_SYS(exit_group), SCMP_SYS(membarrier), SCMP_SYS(prlimit64), SCMP_SYS(eventfd2), SCMP_SYS(memfd_create),
    SCMP_SYS(ftruncate), SCMP_SYS(unshare),
    SCMP_SYS(sendmsg), SCMP_SYS(recvmsg),  // requests to the stub nursery
};

// Nobody in the VMM calls these: whoever does is not the VMM any more.
constexpr int kFatal[] = {SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(socket),  SCMP_SYS(connect),
                          SCMP_SYS(bind),   SCMP_SYS(ptrace),   SCMP_SYS(mount),   SCMP_SYS(openat2),
                          SCMP_SYS(creat),  SCMP_SYS(bpf),      SCMP_SYS(init_module)};

using Filter = std::unique_ptr<void, decltype(&seccomp_release)>;

}  // namespace

void enter_sandbox() {
  const Filter filter(seccomp_init(SCMP_ACT_ERRNO(EPERM)), &seccomp_release);
  if (!filter) throw HostError("seccomp_init", ENOMEM);
  check_negative(seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_TSYNC, 1), "seccomp TSYNC");
  for (const int call : kAllowed)
    check_negative(seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, call, 0), "seccomp rule");
  for (const int call : kFatal)
    check_negative(seccomp_rule_add(filter.get(), SCMP_ACT_KILL_PROCESS, call, 0), "seccomp rule");
  check_errno(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(PR_SET_NO_NEW_PRIVS)");
  check_negative(seccomp_load(filter.get()), "seccomp_load");
}

}  // namespace pando::vmm
