// SPDX-License-Identifier: Apache-2.0
#include "tools/observe/hot_places.h"

#include "tests/catch.h"
#include "tests/unit/tools/observe/recordings.h"

using namespace pando;
using namespace pando::observe;
using namespace pando::observe::test;

TEST_CASE("hot places: faults of two nodes on one page: one place with words, nodes and code") {
  v1::Recording r = two_nodes();
  touch(r, {0, 5, 0x400010, 0x1000}, 30);
  touch(r, {1, 5, 0x400080, 0x2000, false}, 20);
  const auto places = find_hot_places(r, {});
  REQUIRE(places.size() == 1);
  const Place& p = places[0];
  CHECK(p.faults == 50);
  CHECK(p.writes == 30);
  CHECK(p.wait_ns == 50 * 100'000);
  CHECK(p.mm == kMm);
  CHECK(p.home == 0);
  CHECK(p.contended());
  CHECK(p.nodes.at(0).writes == 30);
  CHECK(p.nodes.at(1).writes == 0);
  REQUIRE(p.words.size() == 2);
  CHECK(p.words[0].address == 0x400010);
  CHECK(p.words[0].user);
  CHECK(p.code.at({0x2000, kMm}) == 20);
}

TEST_CASE("hot places: pages that one node alone uses, side by side: one run, holes of read-ahead included") {
  v1::Recording r = two_nodes();
  for (uint64_t i = 0; i < 100; ++i)  // physical pages in reverse: user memory is contiguous by its own addresses
    if (i % 9 != 3) touch(r, {1, 900 - i, 0x700000 + i * 4096, 0x1000});
  touch(r, {1, 20, 0x900000, 0x1000});  // far away
  const auto places = find_hot_places(r, {});
  REQUIRE(places.size() == 2);
  CHECK(places[0].pages == 89);
  CHECK(places[0].first_address == 0x700000);
  CHECK(places[0].last_address == 0x700000 + 99 * 4096);
  CHECK(places[0].first_page == 801);
  CHECK(places[0].last_page == 900);
  CHECK(places[1].pages == 1);
}

TEST_CASE("hot places: a contended page inside a run: stays alone and does not end the run") {
  v1::Recording r = two_nodes();
  for (uint64_t i = 0; i < 10; ++i) touch(r, {1, 100 + i, 0x60064000 + i * 4096, 0x1000, true, 0});
  touch(r, {0, 104, 0x60068000, 0x1000, true, 0}, 100);
  const auto places = find_hot_places(r, {});
  REQUIRE(places.size() == 2);
  CHECK(places[0].contended());
  CHECK(places[0].pages == 1);
  CHECK(places[1].pages == 9);
}

TEST_CASE("hot places: the order is that of the time waited, not of the number of faults") {
  v1::Recording r = two_nodes();
  touch(r, {1, 10, 0x400000, 0x1000}, 50);
  touch(r, {1, 500, 0x900000, 0x1000, true, kMm, 9'000'000}, 2);
  CHECK(find_hot_places(r, {}).front().first_page == 500);
}

TEST_CASE("hot places: the home is the node whose range has the page") {
  v1::Recording r = two_nodes();
  CHECK(home_of(r, 0) == 0);
  CHECK(home_of(r, 1023) == 0);
  CHECK(home_of(r, 1024) == 1);
  CHECK(home_of(r, 1'000'000) == 0);
}

TEST_CASE("hot places: a page that two processes had one after the other: a place for each") {
  v1::Recording r = two_nodes();
  touch(r, {0, 5, 0x400010, 0x1000}, 30);
  touch(r, {0, 5, 0x700010, 0x1000, true, kMm + 1}, 20);
  touch(r, {1, 5, 0x60005010, 0x2000, true, 0}, 10);  // the kernel, for either
  const auto places = find_hot_places(r, {});
  REQUIRE(places.size() == 3);
  CHECK(places[0].mm == kMm);
  CHECK(places[1].mm == kMm + 1);
  CHECK(places[2].mm == 0);
}

TEST_CASE("hot places: a page that another node's kernel cleared for its process: used by one node alone") {
  v1::Recording r = two_nodes();
  touch(r, {0, 5, 0x60005000, 0x2000, true, 0}, 1);
  touch(r, {1, 5, 0x400010, 0x1000}, 4);
  const auto places = find_hot_places(r, {});
  REQUIRE(places.size() == 1);
  CHECK_FALSE(places[0].contended());
  CHECK(places[0].nodes.begin()->first == 1);
  CHECK(places[0].faults == 5);
}

TEST_CASE("hot places: an empty recording has none") { CHECK(find_hot_places({}, {}).empty()); }
