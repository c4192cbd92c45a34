// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <thread>

#include "tests/catch.h"
#include "tests/coherence/test_cluster.h"

using namespace pando;
using std::chrono::milliseconds;

namespace {

test::TestClusterOptions options(int nodes, const std::string& worker) {
  test::TestClusterOptions o;
  o.nodes = nodes;
  o.worker = test::program_beside(worker);
  return o;
}

}  // namespace

TEST_CASE("cluster: one node: memory works and the guest's exit code arrives") {
  test::TestCluster cluster(options(1, "coherence-solo-worker"));
  const auto ends = cluster.wait(milliseconds(20'000));
  REQUIRE(ends.size() == 1);
  REQUIRE(ends.at(0).exit);
  CHECK(ends.at(0).exit->reason() == v1::EXIT_POWER_OFF);
  CHECK(ends.at(0).exit->code() == 7);
  CHECK(ends.at(0).wait_status == 0);
}

namespace {

// Every node reports the same orderly end with the guest's code.
void check_power_off(const std::map<int, test::TestCluster::NodeEnd>& ends, int nodes, uint32_t code) {
  REQUIRE(static_cast<int>(ends.size()) == nodes);
  for (const auto& [node, end] : ends) {
    INFO("node " << node << ": " << (end.exit ? end.exit->message() : "no exit event"));
    REQUIRE(end.exit);
    CHECK(end.exit->reason() == v1::EXIT_POWER_OFF);
    CHECK(end.exit->code() == code);
    CHECK(end.wait_status == 0);
  }
}

void run_random(int nodes, const std::vector<std::string>& arguments, uint64_t cache_bytes = 0) {
  test::TestClusterOptions o = options(nodes, "coherence-random-worker");
  o.arguments = arguments;
  o.spec.set_cache_bytes(cache_bytes);
  test::TestCluster cluster(o);
  check_power_off(cluster.wait(milliseconds(60'000)), nodes, 0);
}

}  // namespace

TEST_CASE("coherence: two nodes, random accesses: no update is lost, no read is stale") {
  run_random(2, {"--seconds", "3"});
}

TEST_CASE("coherence: frames over gRPC streams instead of direct links: no update is lost, no read is stale") {
  test::TestClusterOptions o = options(2, "coherence-random-worker");
  o.arguments = {"--seconds", "2", "--seed", "6"};
  o.spec.mutable_switches()->set_direct(false);
  test::TestCluster cluster(o);
  check_power_off(cluster.wait(milliseconds(60'000)), 2, 0);
}

TEST_CASE("coherence: three nodes, two processes each: no update is lost, no read is stale") {
  run_random(3, {"--seconds", "3", "--processes", "2", "--seed", "2"});
}

TEST_CASE("coherence: four nodes: no update is lost, no read is stale") {
  run_random(4, {"--seconds", "3", "--pages", "16", "--seed", "3"});
}

TEST_CASE("coherence: cache limit of a tenth of the region: eviction all the time loses nothing") {
  run_random(2, {"--seconds", "4", "--pages", "1280", "--seed", "4"}, 256 << 12);
}

TEST_CASE("progress: instructions that need two contested pages in opposite order: every node gets on") {
  const int nodes = GENERATE(2, 3);
  test::TestClusterOptions o = options(nodes, "coherence-two-page-worker");
  o.arguments = {"--rounds", "50"};
  test::TestCluster cluster(o);
  check_power_off(cluster.wait(milliseconds(60'000)), nodes, 0);
}

TEST_CASE("litmus: threads on different nodes: no outcome that x86-TSO forbids") {
  const int nodes = GENERATE(2, 4);
  test::TestClusterOptions o = options(nodes, "coherence-litmus-worker");
  o.arguments = {"--runs", "10240"};
  test::TestCluster cluster(o);
  check_power_off(cluster.wait(milliseconds(100'000)), nodes, 0);
}

namespace {

// All others must name `lost`, soon.
void check_loss_is_named(const std::map<int, test::TestCluster::NodeEnd>& ends, int nodes, int lost,
                         std::chrono::steady_clock::time_point killed) {
  REQUIRE(static_cast<int>(ends.size()) == nodes);
  for (const auto& [node, end] : ends) {
    if (node == lost) continue;
    INFO("node " << node << ": " << (end.exit ? end.exit->message() : "no exit event"));
    REQUIRE(end.exit);
    CHECK(end.exit->reason() == v1::EXIT_NODE_LOST);
    CHECK(static_cast<int>(end.exit->node()) == lost);
    CHECK(end.exit->message().find("n" + std::to_string(lost)) != std::string::npos);
    CHECK(std::chrono::duration_cast<milliseconds>(end.at - killed).count() <= 3'000);
  }
}

bool exists(pid_t pid) { return kill(pid, 0) == 0; }

// An orphan of a killed agent: this process is a subreaper, so that it can see the orphan's end.
bool ends_within(pid_t pid, milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (exists(pid)) {
    if (waitpid(pid, nullptr, WNOHANG) == pid) return true;
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return true;
}

}  // namespace

TEST_CASE("loss: an agent is killed in the middle of traffic: the others name it and end, nothing is left") {
  const int victim = GENERATE(0, 1);
  REQUIRE(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
  test::TestCluster cluster(options(3, "coherence-busy-worker"));
  std::vector<pid_t> vmms;
  for (int n = 0; n < 3; ++n) {
    REQUIRE(cluster.wait_phase(n, v1::PHASE_RUNNING, milliseconds(20'000)));
    vmms.push_back(cluster.vmm_pid(n));
    CHECK(exists(vmms.back()));
  }
  kill(cluster.agent_pid(victim), SIGKILL);
  const auto killed = std::chrono::steady_clock::now();
  check_loss_is_named(cluster.wait(milliseconds(20'000)), 3, victim, killed);
  for (const pid_t pid : vmms) CHECK(ends_within(pid, milliseconds(1'000)));
}

TEST_CASE("loss: an agent hangs: the others notice its silence, name it and end") {
  test::TestCluster cluster(options(2, "coherence-busy-worker"));
  for (int n = 0; n < 2; ++n) REQUIRE(cluster.wait_phase(n, v1::PHASE_RUNNING, milliseconds(20'000)));
  kill(cluster.agent_pid(1), SIGSTOP);
  const auto stopped = std::chrono::steady_clock::now();
  auto ends = cluster.wait(milliseconds(8'000));
  REQUIRE(ends.contains(0));
  REQUIRE(ends.at(0).exit);
  CHECK(ends.at(0).exit->reason() == v1::EXIT_NODE_LOST);
  CHECK(ends.at(0).exit->node() == 1);
  CHECK(ends.at(0).at - stopped < std::chrono::seconds(6));
}

TEST_CASE("loss: a VMM is killed: every node ends, naming the node whose VMM it was") {
  test::TestCluster cluster(options(2, "coherence-busy-worker"));
  for (int n = 0; n < 2; ++n) REQUIRE(cluster.wait_phase(n, v1::PHASE_RUNNING, milliseconds(20'000)));
  kill(cluster.vmm_pid(1), SIGKILL);
  const auto ends = cluster.wait(milliseconds(10'000));
  REQUIRE(ends.size() == 2);
  for (const auto& [node, end] : ends) {
    REQUIRE(end.exit);
    CHECK(end.exit->reason() == v1::EXIT_VMM_DIED);
    CHECK(end.exit->node() == 1);
  }
}

TEST_CASE("end: the operator shuts one node down: all end") {
  test::TestCluster cluster(options(2, "coherence-busy-worker"));
  for (int n = 0; n < 2; ++n) REQUIRE(cluster.wait_phase(n, v1::PHASE_RUNNING, milliseconds(20'000)));
  grpc::ClientContext context;
  v1::ShutdownReply reply;
  REQUIRE(cluster.control(1).Shutdown(&context, {}, &reply).ok());
  const auto ends = cluster.wait(milliseconds(10'000));
  REQUIRE(ends.size() == 2);
  for (const auto& [node, end] : ends) {
    REQUIRE(end.exit);
    CHECK(end.exit->reason() == v1::EXIT_SHUTDOWN);
    CHECK(end.wait_status == 0);
  }
}
