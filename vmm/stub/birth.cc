// SPDX-License-Identifier: Apache-2.0
#include "vmm/stub/birth.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <string>

#include "base/error.h"
#include "vmm/stub/fd_message.h"
#include "vmm/stub/stub_code.h"
#include "vmm/stub/stub_filter.h"
#include "vmm/stub/uffd_constants.h"

extern "C" {
// glibc 2.35 and later registers restartable sequences for each thread; their memory is about to vanish.
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned int __rseq_size __attribute__((weak));
}

namespace pando::stub {

namespace {

constexpr uint64_t kAddressTop = 0x7ffffffff000;  // of user space with 4-level page tables
constexpr uint32_t kRseqSignature = 0x53053053;

struct KernelSigaction {
  uint64_t handler;
  uint64_t flags;
  uint64_t restorer;
  uint64_t mask;
};

[[noreturn]] void fail(int fd, BirthStep step) {
  const BirthReport report{step, errno};
  (void)!write(fd, &report, sizeof report);
  _exit(1);
}

// Makes the three descriptors that the VMM gets and sends them; returns the pipe's write end and the userfaultfd.
struct OwnFds {
  int uffd;
  int pipe;
};
OwnFds introduce(const BirthPlan& plan) {
  BirthReport report;
  const auto refuse = [&](BirthStep step) {
    report = {step, errno};
    send_message(plan.socket, &report, sizeof report, {});
    _exit(1);
  };
  // User-mode faults alone: no host system call in a stub touches guest RAM, and that needs no privilege.
  const auto uffd = static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY));
  if (uffd < 0) refuse(BirthStep::Userfaultfd);
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) refuse(BirthStep::Pipe);
  const auto pidfd = static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0));
  if (pidfd < 0) refuse(BirthStep::Pidfd);
  report.error = getpid();
  const int sent[] = {pidfd, uffd, pipe_ends[0]};
  if (!send_message(plan.socket, &report, sizeof report, sent)) _exit(1);
  return {uffd, pipe_ends[1]};
}

void map_at(uint64_t address, uint64_t bytes, int protection, int fd, uint64_t offset) {
  void* at = mmap(reinterpret_cast<void*>(address), bytes, protection, MAP_SHARED | MAP_FIXED_NOREPLACE, fd,
                  static_cast<off_t>(offset));
  if (at != reinterpret_cast<void*>(address)) fail(STUB_FD_PIPE, BirthStep::Mapping);
}

void map_stub_pages(int code, int memory) {
  map_at(STUB_CODE, STUB_CONTROL - STUB_CODE, PROT_READ | PROT_EXEC, code, 0);
  map_at(STUB_CONTROL, STUB_CONTROL_BYTES, PROT_READ, memory, 0);
  map_at(STUB_REPORT, STUB_END - STUB_REPORT, PROT_READ | PROT_WRITE, memory, STUB_REPORT - STUB_CONTROL);
}

void set_signals() {
  constexpr uint64_t kRestorer = 0x04000000;  // SA_RESTORER, which the kernel demands; nobody returns there
  const KernelSigaction action{STUB_CODE, SA_SIGINFO | SA_ONSTACK | kRestorer, address_in_stub(stub_after_exit), ~0ULL};
  for (const int s : {SIGSYS, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, STUB_KICK}) {
    if (syscall(SYS_rt_sigaction, s, &action, nullptr, 8) != 0) fail(STUB_FD_PIPE, BirthStep::Signals);
  }
  stack_t stack{};
  stack.ss_sp = reinterpret_cast<void*>(STUB_STACK);
  stack.ss_size = STUB_STACK_BYTES;
  if (syscall(SYS_sigaltstack, &stack, nullptr) != 0) fail(STUB_FD_PIPE, BirthStep::Signals);
  const uint64_t none = 0;
  if (syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, 8) != 0) fail(STUB_FD_PIPE, BirthStep::Signals);
}

// Takes back what the kernel knows of this C library's memory.
void forget_libc() {
  if (&__rseq_offset != nullptr && __rseq_size != 0) {
    const uint64_t area = reinterpret_cast<uint64_t>(__builtin_thread_pointer()) + static_cast<uint64_t>(__rseq_offset);
    const long size = __rseq_size < 32 ? 32 : __rseq_size;
    if (syscall(SYS_rseq, area, size, 1 /* unregister */, kRseqSignature) != 0) fail(STUB_FD_PIPE, BirthStep::Rseq);
  }
  syscall(SYS_set_robust_list, nullptr, 24);
  syscall(SYS_set_tid_address, nullptr);
}

// Where the filter waits for the boot code: behind the report.
sock_fprog* place_filter(Populate populate) {
  const std::vector<sock_filter> filter = make_stub_filter(populate);
  auto* program = reinterpret_cast<sock_fprog*>(STUB_REPORT + sizeof(stub_report));
  auto* code = reinterpret_cast<sock_filter*>(program + 1);
  std::memcpy(code, filter.data(), filter.size() * sizeof(sock_filter));
  *program = {static_cast<unsigned short>(filter.size()), code};
  return program;
}

[[noreturn]] void jump_to_boot(const sock_fprog* program) {
  register uint64_t second_start asm("r14") = STUB_END;
  register uint64_t second_bytes asm("r15") = kAddressTop - STUB_END;
  register uint64_t seccomp_flags asm("r13") = SECCOMP_FILTER_FLAG_SPEC_ALLOW;
  asm volatile("jmp *%[boot]" ::[boot] "a"(address_in_stub(stub_boot)), "D"(uint64_t{0}), "S"(STUB_CODE),
               "d"(program), "r"(second_start), "r"(second_bytes), "r"(seccomp_flags));
  __builtin_unreachable();
}

const char* step_name(BirthStep step) {
  switch (step) {
    case BirthStep::Alive: return "start";
    case BirthStep::Fork: return "fork";
    case BirthStep::Userfaultfd: return "userfaultfd";
    case BirthStep::Pipe: return "pipe";
    case BirthStep::Pidfd: return "pidfd_open";
    case BirthStep::Mapping: return "mapping its pages";
    case BirthStep::Signals: return "signal set-up";
    case BirthStep::NoNewPrivileges: return "no_new_privs";
    case BirthStep::Rseq: return "rseq";
  }
  return "unknown step";
}

}  // namespace

void be_born(const BirthPlan& plan) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != plan.nursery) _exit(0);
  prctl(PR_SET_NAME, "pando-stub");
  const OwnFds own = introduce(plan);
  dup2(plan.ram, STUB_FD_RAM);
  dup2(own.uffd, STUB_FD_UFFD);
  dup2(own.pipe, STUB_FD_PIPE);
  map_stub_pages(plan.code, plan.memory);
  syscall(SYS_close_range, STUB_FD_PIPE + 1, ~0U, 0);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail(STUB_FD_PIPE, BirthStep::NoNewPrivileges);
  set_signals();
  const sock_fprog* program = place_filter(plan.populate);
  forget_libc();
  jump_to_boot(program);
}

void throw_birth_failure(const BirthReport& report) {
  if (report.step == BirthStep::Userfaultfd) {
    throw UserError(std::string("a stub process may not use userfaultfd (") + std::strerror(report.error) +
                    "): the host kernel needs CONFIG_USERFAULTFD and no filter against userfaultfd(2)");
  }
  throw HostError(std::string("stub process: ") + step_name(report.step), report.error);
}

}  // namespace pando::stub
