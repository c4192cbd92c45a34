// SPDX-License-Identifier: Apache-2.0
#include "vmm/stub/nursery.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <span>
#include <string>

#include "base/error.h"
#include "vmm/stub/birth.h"
#include "vmm/stub/fd_message.h"
#include "vmm/stub/stub_code.h"

namespace pando::stub {

namespace {

UniqueFd make_code_file() {
  UniqueFd fd(static_cast<int>(
      check_errno(memfd_create("pando-stub-code", MFD_CLOEXEC | MFD_ALLOW_SEALING), "memfd_create")));
  const auto bytes = static_cast<size_t>(stub_code_end - stub_code);
  check_errno(ftruncate(fd.get(), static_cast<off_t>(bytes)), "ftruncate");
  const ssize_t written = pwrite(fd.get(), stub_code, bytes, 0);
  if (written != static_cast<ssize_t>(bytes)) throw HostError("write of the stub's code", errno);
  check_errno(fcntl(fd.get(), F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL),
              "sealing the stub's code");  // not F_SEAL_WRITE: dsm/agent/image_store.cc says why
  return fd;
}

constexpr int kExitHostFailure = 3;

// What a terminal sends is for the operator's program.  Ignored signals stay so in the stubs.
void ignore_terminal() {
  for (const int s : {SIGINT, SIGQUIT, SIGHUP, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU}) signal(s, SIG_IGN);
}

void drop_rights() {
  prctl(PR_SET_NAME, "pando-nursery");
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  syscall(SYS_capset, &header, data);
}

// Moves the descriptors behind those that a stub will use, and closes all others.  The stub's numbers stay taken until
// be_born() fills them, so that no descriptor made meanwhile gets one of them.
void keep_only(std::span<int> fds) {
  for (int& fd : fds) fd = fcntl(fd, F_DUPFD, 64);
  int at = STUB_FD_PIPE + 1;
  for (int& fd : fds) {
    dup2(fd, at);
    fd = at++;
  }
  for (int taken = 0; taken <= STUB_FD_PIPE; taken++) dup2(fds[0], taken);
  syscall(SYS_close_range, at, ~0U, 0);
}

// The nursery's life.  Ends with the VMM (PR_SET_PDEATHSIG, or end of file on the socket).
[[noreturn]] void nursery_main(int socket, int ram, int code, Populate populate) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);
  signal(SIGCHLD, SIG_IGN);  // the kernel reaps
  ignore_terminal();
  drop_rights();
  std::array<int, 3> kept{socket, ram, code};
  keep_only(kept);
  const auto [socket_fd, ram_fd, code_fd] = kept;
  const pid_t nursery = getpid();
  for (;;) {
    BirthReport report;
    std::array<UniqueFd, 1> memory;
    if (receive_message(socket_fd, &report, sizeof report, memory) != Received::Message) _exit(0);
    const pid_t pid = fork();
    if (pid == 0) be_born({nursery, socket_fd, ram_fd, code_fd, memory[0].get(), populate});
    if (pid > 0) continue;
    report = {BirthStep::Fork, errno};
    send_message(socket_fd, &report, sizeof report, {});
  }
}

// The nursery is the VMM's only child.  Without it all stubs are dead and none can be made: the VMM ends as for every
// failure of its host (docs/ARCHITECTURE.md, "Errors"), before the guest takes it for the death of its programs.
void on_child_end(int) {
  constexpr char kMessage[] = "pando-vmm: the process that makes the stubs has ended\n";
  (void)!write(STDERR_FILENO, kMessage, sizeof kMessage - 1);
  _exit(kExitHostFailure);
}

void watch_child(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_ONSTACK | SA_NOCLDSTOP;
  check_errno(sigaction(SIGCHLD, &action, nullptr), "sigaction(SIGCHLD)");
}

}  // namespace

Nursery::Nursery(int ram_fd, Populate populate) {
  const UniqueFd code = make_code_file();
  int pair[2];
  check_errno(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), "socketpair");
  socket_.reset(pair[0]);
  const UniqueFd other(pair[1]);
  const pid_t vmm = getpid();
  pid_ = static_cast<pid_t>(check_errno(fork(), "fork of the stub nursery"));
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != vmm) _exit(0);
    nursery_main(other.get(), ram_fd, code.get(), populate);
  }
  pidfd_.reset(static_cast<int>(check_errno(syscall(SYS_pidfd_open, pid_, 0), "pidfd_open")));
  watch_child(on_child_end);
}

Nursery::~Nursery() {
  signal(SIGCHLD, SIG_DFL);
  syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
  waitpid(pid_, nullptr, 0);
}

NewStub Nursery::make() {
  NewStub stub;
  stub.memory.reset(
      static_cast<int>(check_errno(memfd_create("pando-stub", MFD_CLOEXEC), "memfd_create of a stub")));
  check_errno(ftruncate(stub.memory.get(), STUB_MEMORY_BYTES), "ftruncate");
  BirthReport report{};
  std::array<UniqueFd, 3> fds;
  {
    const std::lock_guard lock(mutex_);
    const int sent[] = {stub.memory.get()};
    if (!send_message(socket_.get(), &report, sizeof report, sent)) throw HostError("request to the nursery", errno);
    if (receive_message(socket_.get(), &report, sizeof report, fds) != Received::Message)
      throw HostError("answer of the nursery", ESRCH);
  }
  if (report.step != BirthStep::Alive) throw_birth_failure(report);
  stub.pid = report.error;
  stub.pidfd = std::move(fds[0]);
  stub.uffd = std::move(fds[1]);
  stub.pipe = std::move(fds[2]);
  return stub;
}

}  // namespace pando::stub
