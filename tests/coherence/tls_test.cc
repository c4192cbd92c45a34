// SPDX-License-Identifier: Apache-2.0
#include <stdexcept>

#include "tests/catch.h"
#include "tests/coherence/test_certificates.h"
#include "tests/coherence/test_cluster.h"

using namespace pando;
using std::chrono::milliseconds;

namespace {

test::TestClusterOptions two_nodes() {
  test::TestClusterOptions o;
  o.nodes = 2;
  o.worker = test::program_beside("coherence-random-worker");
  o.arguments = {"--seconds", "1"};
  return o;
}

}  // namespace

TEST_CASE("tls: two nodes with certificates of one authority: they work together") {
  const test::TestCertificates certificates({"node-0", "node-1", "operator"});
  test::TestClusterOptions o = two_nodes();
  o.node_tls = {certificates.of("node-0"), certificates.of("node-1")};
  o.operator_tls = certificates.of("operator");
  test::TestCluster cluster(o);
  const auto ends = cluster.wait(milliseconds(30'000));
  REQUIRE(ends.size() == 2);
  for (const auto& [node, end] : ends) {
    REQUIRE(end.exit);
    CHECK(end.exit->reason() == v1::EXIT_POWER_OFF);
    CHECK(end.exit->code() == 0);
  }
}

TEST_CASE("tls: a node with the certificate of another node: it is refused and named") {
  const test::TestCertificates certificates({"node-0", "node-1", "node-2", "operator"});
  test::TestClusterOptions o = two_nodes();
  o.node_tls = {certificates.of("node-0"), certificates.of("node-1")};
  // It may serve as node 1, but calls node 0 with the identity of node 2: one key pair serves both ends, so the server's
  // name is wrong for the operator as well, and already the plan does not arrive.
  o.node_tls[1] = certificates.of("node-2");
  o.operator_tls = certificates.of("operator");
  CHECK_THROWS_AS(test::TestCluster(o), std::runtime_error);
}

TEST_CASE("tls: a caller whose certificate is a node's, not the operator's: the plan is refused") {
  const test::TestCertificates certificates({"node-0", "node-1"});
  test::TestClusterOptions o = two_nodes();
  o.node_tls = {certificates.of("node-0"), certificates.of("node-1")};
  o.operator_tls = certificates.of("node-1");
  CHECK_THROWS_AS(test::TestCluster(o), std::runtime_error);
}

TEST_CASE("tls: a node without certificates that does not listen on loopback: it does not start") {
  test::TestClusterOptions o = two_nodes();
  o.addresses = {"0.0.0.0", "0.0.0.0"};
  o.allow_insecure = false;
  CHECK_THROWS_AS(test::TestCluster(o), std::runtime_error);
}
