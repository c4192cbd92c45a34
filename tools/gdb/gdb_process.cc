// SPDX-License-Identifier: Apache-2.0
#include "tools/gdb/gdb_process.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "base/error.h"
#include "tools/gdb/server.h"

namespace pando::gdb {

namespace {

constexpr int kNotStarted = 127;

// A folder that nobody else can look into.
class PrivateFolder {
 public:
  PrivateFolder() {
    if (!mkdtemp(path_)) throw HostError("mkdtemp", errno);
  }
  ~PrivateFolder() { rmdir(path_); }
  PrivateFolder(const PrivateFolder&) = delete;
  PrivateFolder& operator=(const PrivateFolder&) = delete;
  std::string file(const char* name) const { return std::string(path_) + "/" + name; }

 private:
  char path_[32] = "/tmp/pando-gdb-XXXXXX";
};

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

std::vector<std::string> command_line(const GdbOptions& options, const std::string& socket) {
  // Breakpoints stay in while the guest is stopped: putting them in means a message to every node.
  std::vector<std::string> line{options.program, "-q", "-iex",
                                "add-auto-load-safe-path " + folder_of(options.kernel_file), "-iex",
                                "set breakpoint always-inserted on", options.kernel_file, "-ex",
                                "target remote " + socket};
  line.insert(line.end(), options.arguments.begin(), options.arguments.end());
  return line;
}

pid_t start(const std::vector<std::string>& line) {
  std::vector<char*> arguments;
  for (const std::string& word : line) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const pid_t pid = static_cast<pid_t>(check_errno(fork(), "fork"));
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGINT, SIG_DFL);
  signal(SIGPIPE, SIG_DFL);
  execvp(arguments[0], arguments.data());
  _exit(kNotStarted);
}

}  // namespace

int run_gdb(ClusterTarget& target, const GdbOptions& options) {
  const PrivateFolder folder;
  Server server(target, target.event_fd(), {folder.file("socket")});
  // Ctrl-C is for GDB, which shares our terminal.
  signal(SIGINT, SIG_IGN);
  const pid_t pid = start(command_line(options, server.address()));
  const UniqueFd ended(static_cast<int>(check_errno(syscall(SYS_pidfd_open, pid, 0), "pidfd_open")));
  server.run(ended.get());
  int status = 0;
  check_errno(waitpid(pid, &status, 0), "waitpid");
  if (WIFEXITED(status) && WEXITSTATUS(status) == kNotStarted)
    throw UserError("cannot start " + options.program + ": install the package gdb, or name it with --gdb");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace pando::gdb
