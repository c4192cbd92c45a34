// SPDX-License-Identifier: Apache-2.0
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

TEST_CASE("coherence: three nodes, two processes each: no update is lost, no read is stale") {
  run_random(3, {"--seconds", "3", "--processes", "2", "--seed", "2"});
}

TEST_CASE("coherence: four nodes: no update is lost, no read is stale") {
  run_random(4, {"--seconds", "3", "--pages", "16", "--seed", "3"});
}

TEST_CASE("coherence: cache limit of a tenth of the region: eviction all the time loses nothing") {
  run_random(2, {"--seconds", "4", "--pages", "1280", "--seed", "4"}, 256 << 12);
}
