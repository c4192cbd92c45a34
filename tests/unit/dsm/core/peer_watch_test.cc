// SPDX-License-Identifier: Apache-2.0
#include "dsm/core/peer_watch.h"

#include "tests/catch.h"

namespace pando::dsm {
namespace {

TEST_CASE("peer watch: the peer silent for longest is named, not oneself") {
  PeerWatch watch(NodeId(0), 3, 1000, 5000);
  CHECK_FALSE(watch.silent(6000).has_value());
  watch.heard(NodeId(1), 5500);
  CHECK(watch.silent(6001) == NodeId(2));
  CHECK(watch.silent(9000) == NodeId(2));
  watch.heard(NodeId(2), 8900);
  CHECK(watch.silent(9000) == NodeId(1));
}

TEST_CASE("peer watch: a late or unknown report changes nothing") {
  PeerWatch watch(NodeId(0), 2, 1000, 0);
  watch.heard(NodeId(1), 2000);
  watch.heard(NodeId(1), 100);
  watch.heard(NodeId(9), 2000);
  watch.heard(NodeId(200), 2000);
  CHECK_FALSE(watch.silent(3000).has_value());
  CHECK(watch.silent(3001) == NodeId(1));
}

}  // namespace
}  // namespace pando::dsm
