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
