// SPDX-License-Identifier: Apache-2.0
#include "dsm/agent/vmm_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "base/error.h"

namespace pando::dsm {

namespace {

// Between fork and exec: async-signal-safe calls only.
[[noreturn]] void become(const char* program, char* const* argv, const std::vector<int>& kept_fds, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const int empty = open("/dev/null", O_RDONLY);
  if (empty < 0 || dup2(empty, 0) < 0 || dup2(2, 1) < 0) _exit(127);
  for (const int fd : kept_fds)
    if (fcntl(fd, F_SETFD, 0) < 0) _exit(127);
  execv(program, argv);
  const char text[] = "pando-dsm: cannot run the VMM program\n";
  (void)!write(2, text, sizeof text - 1);
  _exit(127);
}

}  // namespace

VmmProcess::VmmProcess(const std::string& program, const std::vector<std::string>& arguments,
                       const std::vector<int>& kept_fds) {
  // What a dying VMM leaves behind (its stubs) becomes ours and is reaped by the destructor.
  check_errno(prctl(PR_SET_CHILD_SUBREAPER, 1), "becoming a subreaper");
  std::vector<char*> argv{const_cast<char*>(program.c_str())};
  for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  const pid_t parent = getpid();
  pid_ = static_cast<pid_t>(check_errno(fork(), "fork for the VMM"));
  if (pid_ == 0) become(program.c_str(), argv.data(), kept_fds, parent);
  pidfd_.reset(static_cast<int>(check_errno(syscall(SYS_pidfd_open, pid_, 0), "pidfd_open")));
}

VmmProcess::~VmmProcess() {
  kill();
  while (!wait(std::chrono::milliseconds(1000))) kill();
  // Orphans get SIGKILL from their own PDEATHSIG; collect them so that none stays as a zombie.
  while (waitpid(-1, nullptr, WNOHANG) > 0) {
  }
}

std::optional<int> VmmProcess::wait(std::chrono::milliseconds limit) {
  if (status_) return status_;
  pollfd p{pidfd_.get(), POLLIN, 0};
  if (poll(&p, 1, static_cast<int>(limit.count())) <= 0) return std::nullopt;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
  status_ = status;
  return status_;
}

void VmmProcess::reap_orphans() {
  for (;;) {
    siginfo_t info{};
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0 || info.si_pid == pid_) return;
    waitpid(info.si_pid, nullptr, WNOHANG);
  }
}

void VmmProcess::kill() {
  if (!status_) syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
}

std::string describe_wait_status(int status) {
  if (WIFEXITED(status)) return "exited with status " + std::to_string(WEXITSTATUS(status));
  if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    return "was killed by signal " + std::to_string(signal) + " (" + strsignal(signal) + ")";
  }
  return "ended";
}

}  // namespace pando::dsm
