// SPDX-License-Identifier: Apache-2.0
#include "tools/cluster/spawn.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.h"
#include "base/unique_fd.h"

extern char** environ;

namespace pando::cluster {
namespace {

using Clock = std::chrono::steady_clock;
constexpr size_t kCapturedMax = 1 << 20;

class Attributes {
 public:
  explicit Attributes(Apart apart) {
    check_pthread(posix_spawnattr_init(&value_), "posix_spawnattr_init");
    sigset_t terminal, all;
    sigemptyset(&terminal);
    sigaddset(&terminal, SIGTTIN);
    sigaddset(&terminal, SIGTTOU);
    sigfillset(&all);
    check_pthread(posix_spawnattr_setsigmask(&value_, &terminal), "posix_spawnattr_setsigmask");
    check_pthread(posix_spawnattr_setsigdefault(&value_, &all), "posix_spawnattr_setsigdefault");
    const short place = apart == Apart::Session ? POSIX_SPAWN_SETSID : POSIX_SPAWN_SETPGROUP;
    const short flags = static_cast<short>(place | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    check_pthread(posix_spawnattr_setflags(&value_, flags), "posix_spawnattr_setflags");
  }
  ~Attributes() { posix_spawnattr_destroy(&value_); }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;
  const posix_spawnattr_t* get() const { return &value_; }

 private:
  posix_spawnattr_t value_;
};

class Files {
 public:
  Files() {
    check_pthread(posix_spawn_file_actions_init(&value_), "posix_spawn_file_actions_init");
  }
  ~Files() { posix_spawn_file_actions_destroy(&value_); }
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;
  // Onto itself: loses its close-on-exec flag.
  void put(int fd, int as) {
    check_pthread(posix_spawn_file_actions_adddup2(&value_, fd, as),
                  "posix_spawn_file_actions_adddup2");
  }
  const posix_spawn_file_actions_t* get() const { return &value_; }

 private:
  posix_spawn_file_actions_t value_;
};

struct Pipe {
  UniqueFd read, write;
};

Pipe make_pipe() {
  std::array<int, 2> fds{};
  check_errno(::pipe2(fds.data(), O_CLOEXEC), "pipe2");
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

void take(UniqueFd& from, std::string& into) {
  std::array<char, 16 * 1024> buffer;
  const ssize_t got = ::read(from.get(), buffer.data(), buffer.size());
  if (got < 0 && errno == EINTR) return;
  if (got <= 0) return from.reset();
  into.append(buffer.data(), std::min(static_cast<size_t>(got), kCapturedMax - into.size()));
}

}  // namespace

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

pid_t spawn(const std::vector<std::string>& command, const SpawnFds& fds, Apart apart,
            const char* program) {
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  Files files;
  files.put(fds.in, STDIN_FILENO);
  files.put(fds.out, STDOUT_FILENO);
  files.put(fds.error, STDERR_FILENO);
  for (const int fd : fds.passed) files.put(fd, fd);
  pid_t pid = -1;
  const char* file = program == nullptr ? argv[0] : program;
  const int error = posix_spawnp(&pid, file, files.get(), Attributes(apart).get(), argv.data(), environ);
  if (error != 0) {
    throw UserError("cannot start '" + joined(command) + "': " + std::strerror(error) +
                    "; correct launch or program, or build it with tools/build");
  }
  return pid;
}

Captured capture(const std::vector<std::string>& command, std::chrono::nanoseconds limit) {
  const auto deadline = Clock::now() + limit;
  Pipe out = make_pipe(), error = make_pipe();
  const UniqueFd null(
      static_cast<int>(check_errno(::open("/dev/null", O_RDONLY | O_CLOEXEC), "open /dev/null")));
  const pid_t pid = spawn(command, {null.get(), out.write.get(), error.write.get()});
  out.write.reset();
  error.write.reset();
  Captured captured;
  bool in_time = true;
  while (out.read || error.read) {
    std::array<pollfd, 2> fds{{{out.read.get(), POLLIN, 0}, {error.read.get(), POLLIN, 0}}};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    in_time = left > 0;
    if (!in_time) break;
    if (::poll(fds.data(), fds.size(), static_cast<int>(std::min<int64_t>(left, 60'000))) < 0 &&
        errno != EINTR)
      break;
    if (fds[0].revents != 0) take(out.read, captured.out);
    if (fds[1].revents != 0) take(error.read, captured.error);
  }
  if (!in_time) ::kill(-pid, SIGKILL);
  int status = 0;
  check_errno(::waitpid(pid, &status, 0), "waitpid");
  if (in_time) captured.wait_status = status;
  return captured;
}

}  // namespace pando::cluster
