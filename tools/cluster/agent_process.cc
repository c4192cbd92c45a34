// SPDX-License-Identifier: Apache-2.0
#include "tools/cluster/agent_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "base/error.h"
#include "tools/cluster/spawn.h"

namespace pando::cluster {
namespace {

struct Pipe {
  UniqueFd read, write;
};

Pipe make_pipe() {
  std::array<int, 2> fds{};
  check_errno(::pipe2(fds.data(), O_CLOEXEC), "pipe2");
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

bool write_all(int fd, const std::string& bytes) {
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t put = ::write(fd, bytes.data() + done, bytes.size() - done);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return false;
    done += static_cast<size_t>(put);
  }
  return true;
}

}  // namespace

AgentProcess::AgentProcess(const std::vector<std::string>& command, int log_fd) {
  Pipe in = make_pipe(), out = make_pipe();
  pid_ = spawn(command, {in.read.get(), out.write.get(), log_fd});
  pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  check_errno(pidfd_.get(), "pidfd_open");
  to_agent_ = std::move(in.write);
  events_.emplace(std::move(out.read));
}

AgentProcess::AgentProcess(AgentProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      pidfd_(std::move(other.pidfd_)),
      to_agent_(std::move(other.to_agent_)),
      events_(std::move(other.events_)),
      wait_status_(other.wait_status_) {}

AgentProcess::~AgentProcess() {
  if (pid_ < 0 || ended()) return;
  kill();
  int status = 0;
  ::waitpid(pid_, &status, 0);
}

bool AgentProcess::send(const v1::NodeSpec& spec) {
  const std::string body = spec.SerializeAsString();
  std::string bytes;
  for (int shift = 0; shift < 32; shift += 8)
    bytes += static_cast<char>((body.size() >> shift) & 0xff);
  return write_all(to_agent_.get(), bytes + body);
}

std::optional<int> AgentProcess::ended() {
  if (wait_status_ || pid_ < 0) return wait_status_;
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) == pid_) wait_status_ = status;
  return wait_status_;
}

void AgentProcess::kill() {
  if (pid_ > 0 && !ended()) ::kill(-pid_, SIGKILL);  // its whole session
}

std::string describe_wait_status(int status) {
  if (WIFEXITED(status)) return "ended with status " + std::to_string(WEXITSTATUS(status));
  return "was killed by signal " + std::to_string(WTERMSIG(status));
}

}  // namespace pando::cluster
