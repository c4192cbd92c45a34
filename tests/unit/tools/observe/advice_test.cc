// SPDX-License-Identifier: Apache-2.0
#include "tools/observe/advice.h"

#include "tests/catch.h"
#include "tests/unit/tools/observe/recordings.h"
#include "tools/observe/top_view.h"

using namespace pando;
using namespace pando::observe;
using namespace pando::observe::test;

namespace {

const std::string kXchg("\x87\x07", 2);         // xchg %eax,(%rdi)
const std::string kAdd("\x48\x83\x07\x01", 4);  // addq $1,(%rdi)

std::vector<Advice> advice_for(const v1::Recording& r) { return Analysis(r, nullptr).advice; }

}  // namespace

TEST_CASE("advice: two nodes on different words of one page: false sharing, both words named") {
  v1::Recording r = two_nodes();
  touch(r, {0, 5, 0x4c5000, 0x1000}, 50);
  touch(r, {1, 5, 0x4c5040, 0x1000}, 50);
  code(r, 0x1000, kAdd);
  const auto all = advice_for(r);
  REQUIRE(all.size() == 1);
  CHECK(all[0].kind == AdviceKind::FalseSharing);
  CHECK(all[0].names == std::vector<std::string>{"victim[42] 0x4c5000", "victim[42] 0x4c5040"});
  CHECK(all[0].sentence.find("nodes a and b") != std::string::npos);
}

TEST_CASE("advice: false sharing where the kernel touches the page now and then, too") {
  v1::Recording r = two_nodes();
  touch(r, {0, 5, 0x4c5000, 0x1000}, 50);
  touch(r, {1, 5, 0x4c5040, 0x1000}, 50);
  touch(r, {0, 5, 0x60005800, 0x61000000, true, 0}, 5);
  CHECK(advice_for(r).at(0).kind == AdviceKind::FalseSharing);
}

TEST_CASE("advice: two nodes exchange the same word: contended lock, also when most faults are the spinning reads") {
  v1::Recording r = two_nodes();
  touch(r, {0, 5, 0x4c6000, 0x1000, false}, 40);
  touch(r, {1, 5, 0x4c6000, 0x1000, false}, 40);
  touch(r, {0, 5, 0x4c6000, 0x1010}, 6);
  touch(r, {1, 5, 0x4c6000, 0x1010}, 6);
  code(r, 0x1000, std::string("\x8b\x07", 2));
  code(r, 0x1010, kXchg);
  const auto all = advice_for(r);
  REQUIRE(all.size() == 1);
  CHECK(all[0].kind == AdviceKind::ContendedLock);
  CHECK(all[0].names == std::vector<std::string>{"victim[42] 0x4c6000"});
}

TEST_CASE("advice: the same word written without a lock: real sharing, not false sharing") {
  v1::Recording r = two_nodes();
  touch(r, {0, 5, 0x4c6000, 0x1000}, 40);
  touch(r, {1, 5, 0x4c6000, 0x1000}, 40);
  code(r, 0x1000, kAdd);
  const auto all = advice_for(r);
  REQUIRE(all.size() == 1);
  CHECK(all[0].kind == AdviceKind::SharedWord);
}

TEST_CASE("advice: an array that only the other node uses: first touch on the wrong node, with its range") {
  v1::Recording r = two_nodes();
  for (uint64_t i = 0; i < 200; ++i) touch(r, {1, 300 + i, 0x7000000 + i * 4096, 0x1000});
  const auto all = advice_for(r);
  REQUIRE(all.size() == 1);
  CHECK(all[0].kind == AdviceKind::WrongNode);
  CHECK(all[0].names == std::vector<std::string>{"victim[42] 0x7000000 .. 0x70c7000 (200 pages)"});
  CHECK(all[0].sentence.find("is homed on a, only b uses it") != std::string::npos);
}

TEST_CASE("advice: two ranges of a process on the wrong node: one advice with both, at the cost of both") {
  v1::Recording r = two_nodes();
  for (uint64_t i = 0; i < 200; ++i) touch(r, {1, 300 + i, 0x7000000 + i * 4096, 0x1000});
  for (uint64_t i = 0; i < 100; ++i) touch(r, {1, 600 + i, 0x8000000 + i * 4096, 0x1000});
  const Analysis a(r, nullptr);
  REQUIRE(a.advice.size() == 1);
  CHECK(a.advice[0].names == std::vector<std::string>{"victim[42] 0x7000000 .. 0x70c7000 (200 pages)",
                                                      "victim[42] 0x8000000 .. 0x8063000 (100 pages)"});
  CHECK(a.advice[0].sentence.find("(100 pages) are homed on a, only b uses them") != std::string::npos);
  CHECK(a.advice[0].wait_ns == a.places.at(0).wait_ns + a.places.at(1).wait_ns);
  CHECK(a.advice[0].place == 0);
}

TEST_CASE("advice: nothing is said where the records do not say it") {
  v1::Recording r = two_nodes();
  SECTION("few faults") {
    touch(r, {0, 5, 0x4c5000, 0x1000}, 5);
    touch(r, {1, 5, 0x4c5040, 0x1000}, 5);
  }
  SECTION("two readers of different words") {
    touch(r, {0, 5, 0x4c5000, 0x1000, false}, 50);
    touch(r, {1, 5, 0x4c5040, 0x1000, false}, 50);
  }
  SECTION("two readers of one word") {
    touch(r, {0, 5, 0x4c5000, 0x1000, false}, 50);
    touch(r, {1, 5, 0x4c5000, 0x1000, false}, 50);
  }
  SECTION("an array homed where it is used: others had borrowed it") {
    for (uint64_t i = 0; i < 200; ++i) touch(r, {1, 1100 + i, 0x7000000 + i * 4096, 0x1000});
  }
  SECTION("a node that hardly takes part") {
    touch(r, {0, 5, 0x4c5000, 0x1000}, 97);
    touch(r, {1, 5, 0x4c5040, 0x1000}, 3);
  }
  CHECK(advice_for(r).empty());
}

TEST_CASE("advice: the most expensive comes first, and names its place") {
  v1::Recording r = two_nodes();
  touch(r, {0, 5, 0x4c5000, 0x1000}, 50);
  touch(r, {1, 5, 0x4c5040, 0x1000}, 50);
  touch(r, {0, 6, 0x4c6000, 0x1010, true, kMm, 900'000}, 50);
  touch(r, {1, 6, 0x4c6000, 0x1010, true, kMm, 900'000}, 50);
  code(r, 0x1010, kXchg);
  const Analysis a(r, nullptr);
  REQUIRE(a.advice.size() == 2);
  CHECK(a.advice[0].kind == AdviceKind::ContendedLock);
  CHECK(a.places[a.advice[0].place].first_page == 6);
  CHECK(a.places[a.advice[1].place].first_page == 5);
}
