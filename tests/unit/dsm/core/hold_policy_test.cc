// SPDX-License-Identifier: Apache-2.0
#include "dsm/core/hold_policy.h"

#include "tests/catch.h"

namespace pando::dsm {
namespace {

const HoldPolicy kPolicy(NodeId(1), HoldPolicyOptions{});

TEST_CASE("hold policy: window: never below the minimum, else one and a half fetches") {
  CHECK(kPolicy.window_ns({0, 0, 0}) == 100'000);
  CHECK(kPolicy.window_ns({-5, -5, 0}) == 100'000);
  CHECK(kPolicy.window_ns({200'000, 0, 0}) == 300'000);
}

TEST_CASE("hold policy: window: a contended fetch time is bounded") {
  CHECK(kPolicy.window_ns({1'000'000'000, 0, 0}) == 625'000);
  CHECK(kPolicy.window_ns({1'000'000'000, 40'000'000, 0}) == 80'000'000);  // a slow network
}

TEST_CASE("hold policy: window: failures widen it up to the limit") {
  int64_t smallest = 0;
  for (uint32_t repeats = 0; repeats < 100; ++repeats) {
    const int64_t window = kPolicy.window_ns({50'000, 40'000, repeats});
    CHECK(window >= smallest);
    CHECK(window <= 5'000'000);
    smallest = 100'000 << std::min(repeats, 4u);
  }
}

TEST_CASE("hold policy: window: nodes that fail in step get different windows") {
  const HoldPolicy other(NodeId(2), HoldPolicyOptions{});
  int same = 0;
  for (uint32_t repeats = 1; repeats < 20; ++repeats)
    same += kPolicy.window_ns({0, 0, repeats}) == other.window_ns({0, 0, repeats});
  CHECK(same <= 1);
}

TEST_CASE("fault streak: two pages taken from each other count, progress resets") {
  FaultStreak s;
  CHECK(s.on_fault(100, PageId(1), Right::Write) == 0);
  CHECK(s.on_fault(100, PageId(2), Right::Read) == 0);
  CHECK(s.on_fault(100, PageId(1), Right::Write) == 1);
  CHECK(s.on_fault(100, PageId(2), Right::Write) == 2);
  REQUIRE(s.needs().size() == 2);
  CHECK(s.needs()[1].right == Right::Write);
  s.on_all_here();
  CHECK(s.repeats() == 0);
  CHECK(s.on_fault(100, PageId(1), Right::Write) == 1);
  CHECK(s.on_fault(104, PageId(1), Right::Write) == 0);  // another instruction
}

TEST_CASE("fault streak: a loop on one page and a copy over many do not count") {
  FaultStreak loop;
  for (int i = 0; i < 10; ++i) CHECK(loop.on_fault(100, PageId(1), Right::Write) == 0);
  FaultStreak copy;
  for (uint32_t i = 0; i < 100; ++i) CHECK(copy.on_fault(100, PageId(i), Right::Read) == 0);
}

TEST_CASE("fetch time: shorter measurements count at once, longer ones slowly") {
  FetchTime t(100'000);
  t.add(20'000);
  CHECK(t.estimate_ns() == 80'000);
  t.add(1'080'000);
  CHECK(t.estimate_ns() < 84'000);
}

}  // namespace
}  // namespace pando::dsm
