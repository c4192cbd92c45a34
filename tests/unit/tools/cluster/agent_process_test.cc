// SPDX-License-Identifier: Apache-2.0
// A shell plays the agent.
#include "tools/cluster/agent_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/error.h"
#include "tests/catch.h"
#include "tools/cluster/spawn.h"

using namespace pando;
using namespace pando::cluster;

namespace {

UniqueFd null_device() {
  return UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC));
}

AgentProcess shell(const std::string& script) {
  return AgentProcess({"sh", "-c", script}, null_device().get());
}

void wait_readable(int fd) {
  pollfd ready{fd, POLLIN, 0};
  REQUIRE(::poll(&ready, 1, 10'000) == 1);
}

}  // namespace

TEST_CASE("agent process: events: lines of JSON are events, other lines are dropped") {
  AgentProcess agent = shell(
      "echo '{\"listenAddress\":\"127.0.0.1:1\",\"phase\":\"PHASE_IDLE\"}'; echo nonsense; "
      "echo '{\"exit\":{\"reason\":\"EXIT_PANIC\",\"code\":3},\"futureField\":1}'; printf "
      "'{\"unfinished\"'");
  wait_readable(agent.pidfd());
  const std::vector<v1::Event> events = agent.read_events();
  REQUIRE(events.size() == 2);
  CHECK(events[0].listen_address() == "127.0.0.1:1");
  CHECK(events[1].exit().reason() == v1::EXIT_PANIC);
  CHECK(agent.events_fd() == -1);
  REQUIRE(agent.ended().has_value());
  CHECK(describe_wait_status(*agent.ended()) == "ended with status 0");
}

TEST_CASE("agent process: spec: arrives with its length; the pipe's end is seen") {
  AgentProcess agent = shell("head -c 4 | od -An -tu4 | tr -d ' ' >&2; exec cat >/dev/null");
  v1::NodeSpec spec;
  spec.set_cluster_name("lab");
  CHECK(agent.send(spec));
  CHECK_FALSE(agent.ended().has_value());
  agent.close_liveness();
  wait_readable(agent.pidfd());
  CHECK(agent.ended().has_value());
}

TEST_CASE("agent process: endless line: memory stays bounded and later events are read") {
  AgentProcess agent =
      shell("head -c 300000 /dev/zero | tr '\\0' x; echo; echo '{\"text\":\"after\"}'");
  std::vector<v1::Event> events;
  while (agent.events_fd() >= 0) {
    wait_readable(agent.events_fd());
    for (auto& event : agent.read_events()) events.push_back(event);
  }
  REQUIRE(events.size() == 1);
  CHECK(events[0].text() == "after");
}

TEST_CASE("agent process: kill: takes the whole session along") {
  AgentProcess agent = shell("sleep 1000 & echo '{\"text\":\"'$!'\"}'; wait");
  wait_readable(agent.events_fd());
  const auto events = agent.read_events();
  REQUIRE(events.size() == 1);
  const UniqueFd child(
      ::open(("/proc/" + events[0].text()).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  REQUIRE(child.valid());
  agent.kill();
  wait_readable(agent.pidfd());
  CHECK(describe_wait_status(*agent.ended()) == "was killed by signal 9");
  // The pipe closes when the last process of the session is gone.
  while (agent.events_fd() >= 0) {
    wait_readable(agent.events_fd());
    agent.read_events();
  }
}

TEST_CASE("agent process: unknown command: a mistake of the user, named") {
  CHECK_THROWS_WITH(
      AgentProcess({"/nowhere/pando-dsm", "serve"}, null_device().get()),
      "cannot start '/nowhere/pando-dsm serve': No such file or directory; correct launch or "
      "program, or build it with tools/build");
}

TEST_CASE("spawn: capture: both outputs and the status; a time limit ends it") {
  const Captured good =
      capture({"sh", "-c", "echo out; echo error >&2; exit 3"}, std::chrono::seconds(20));
  CHECK(good.out == "out\n");
  CHECK(good.error == "error\n");
  REQUIRE(good.wait_status.has_value());
  CHECK(WEXITSTATUS(*good.wait_status) == 3);
  CHECK_FALSE(capture({"sleep", "1000"}, std::chrono::milliseconds(50)).wait_status.has_value());
}
