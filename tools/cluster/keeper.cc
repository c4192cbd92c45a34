// SPDX-License-Identifier: Apache-2.0
#include "tools/cluster/keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <optional>

#include "base/error.h"
#include "tools/cluster/event_reader.h"
#include "tools/cluster/spawn.h"

namespace pando::cluster {
namespace {

using Clock = std::chrono::steady_clock;

struct Kept {
  pid_t pid;
  UniqueFd pidfd, liveness;
  EventReader events;
};

bool says_reboot(Kept& agent) {
  const std::vector<v1::Event> events = agent.events.read();
  return std::any_of(events.begin(), events.end(),
                     [](const v1::Event& e) { return e.exit().reason() == v1::EXIT_REBOOT; });
}

UniqueFd open_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, number);
  check_errno(::sigprocmask(SIG_BLOCK, &set, nullptr), "sigprocmask");
  return UniqueFd(static_cast<int>(check_errno(::signalfd(-1, &set, SFD_CLOEXEC), "signalfd")));
}

void kill_rest(const std::vector<Kept>& agents) {
  for (const Kept& agent : agents) {
    if (agent.pidfd) ::kill(-agent.pid, SIGKILL);
  }
}

}  // namespace

HeldAgent HeldAgent::of(const AgentProcess& process) {
  return {process.pid(), process.pidfd(), process.liveness_fd(), process.events_fd()};
}

std::string HeldAgent::text() const {
  return std::to_string(pid) + ":" + std::to_string(pidfd) + ":" + std::to_string(liveness_fd) +
         ":" + std::to_string(events_fd);
}

HeldAgent HeldAgent::parse(const std::string& text) {
  HeldAgent out;
  char end = 0;
  const int fields = std::sscanf(text.c_str(), "%d:%d:%d:%d%c", &out.pid, &out.pidfd,
                                 &out.liveness_fd, &out.events_fd, &end);
  if (fields != 4 || out.pid <= 1 || out.pidfd < 3)
    throw UserError("pando hold is started by pando up alone");
  return out;
}

pid_t start_keeper(const RuntimeDir& runtime, const std::vector<HeldAgent>& agents,
                   std::chrono::nanoseconds grace, const std::vector<std::string>& restart) {
  std::vector<std::string> command{
      "pando", "hold", runtime.path(), std::to_string(runtime.lock_fd()),
      std::to_string(std::chrono::ceil<std::chrono::milliseconds>(grace).count())};
  const UniqueFd log = runtime.open_log("hold");
  const UniqueFd null(
      static_cast<int>(check_errno(::open("/dev/null", O_RDWR | O_CLOEXEC), "open /dev/null")));
  SpawnFds fds{
      .in = null.get(), .out = null.get(), .error = log.get(), .passed = {runtime.lock_fd()}};
  for (const HeldAgent& agent : agents) {
    command.push_back(agent.text());
    for (const int fd : {agent.pidfd, agent.liveness_fd, agent.events_fd}) {
      if (fd >= 0) fds.passed.push_back(fd);
    }
  }
  for (const std::string& word : restart) command.push_back("--restart=" + word);
  return spawn(command, fds, Apart::Session, "/proc/self/exe");
}

KeptUntil keep(const std::string& runtime_path, int lock_fd, const std::vector<HeldAgent>& held,
               std::chrono::milliseconds grace) {
  const RuntimeDir runtime = RuntimeDir::adopt(runtime_path, UniqueFd(lock_fd));
  std::vector<Kept> agents;
  for (const HeldAgent& agent : held) {
    agents.push_back({agent.pid, UniqueFd(agent.pidfd), UniqueFd(agent.liveness_fd),
                      EventReader(UniqueFd(agent.events_fd))});
  }
  const UniqueFd signals = open_signals();
  std::optional<Clock::time_point> kill_at;
  bool killed = false, told_to_end = false, reboot = false;
  const auto begin_end = [&] {
    if (kill_at) return;
    kill_at = Clock::now() + grace;
    for (Kept& agent : agents) agent.liveness.reset();
  };
  while (std::any_of(agents.begin(), agents.end(), [](const Kept& a) { return a.pidfd.valid(); })) {
    std::vector<pollfd> fds{{kill_at ? -1 : signals.get(), POLLIN, 0}};
    for (const Kept& agent : agents) {
      fds.push_back({agent.pidfd.get(), POLLIN, 0});
      fds.push_back({agent.events.fd(), POLLIN, 0});
    }
    const auto left =
        kill_at ? std::chrono::ceil<std::chrono::milliseconds>(*kill_at - Clock::now()).count() : 0;
    const int limit_ms =
        kill_at && !killed ? static_cast<int>(std::clamp<int64_t>(left, 0, 60'000)) : -1;
    if (::poll(fds.data(), fds.size(), limit_ms) < 0 && errno != EINTR)
      throw HostError("poll", errno);
    if (fds[0].revents != 0) {
      told_to_end = true;
      begin_end();
    }
    for (size_t i = 0; i < agents.size(); ++i) {
      // Before the end is noted: what an agent wrote at its end has arrived by then.
      if (fds[1 + 2 * i].revents != 0 || fds[2 + 2 * i].revents != 0) reboot |= says_reboot(agents[i]);
      if (fds[1 + 2 * i].revents == 0) continue;
      agents[i].pidfd.reset();
      begin_end();
    }
    if (kill_at && !killed && Clock::now() >= *kill_at) {
      kill_rest(agents);
      killed = true;
    }
  }
  runtime.forget_state();
  return reboot && !told_to_end ? KeptUntil::Reboot : KeptUntil::End;
}

}  // namespace pando::cluster
