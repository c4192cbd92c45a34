// SPDX-License-Identifier: Apache-2.0
#include "tools/observe/heat_map.h"

#include "tests/catch.h"
#include "tests/unit/tools/observe/recordings.h"

using namespace pando;
using namespace pando::observe;
using namespace pando::observe::test;

TEST_CASE("heat map: each cell counts its faults and belongs to the node that came last, by corrected clocks") {
  v1::Recording r = two_nodes();
  touch(r, {0, 5, 0x4c5000, 0x1000}, 3);  // 1, 2, 3 ms after the start
  touch(r, {1, 5, 0x4c5040, 0x1000}, 2);  // 1, 2 ms by its own clock
  r.mutable_nodes(1)->set_clock_offset_ns(-5'000'000);  // which is 5 ms behind: 6, 7 ms
  const auto places = find_hot_places(r, {});
  const HeatMap map = heat_map(r, places, {.columns = 10});
  REQUIRE(map.rows.size() == 1);
  REQUIRE(map.cells.size() == 1);
  CHECK(map.cells[0].faults == 5);
  CHECK(map.cells[0].owner == 1);
  CHECK(map.seconds_per_column == Approx(0.2));
}

TEST_CASE("heat map: a run of pages gets a few rows, a single page inside it its own") {
  v1::Recording r = two_nodes();
  for (uint64_t i = 0; i < 80; ++i) touch(r, {1, 100 + i, 0x60064000 + i * 4096, 0x1000, true, 0});
  touch(r, {0, 104, 0x60068000, 0x1000, true, 0}, 10);
  const auto places = find_hot_places(r, {});
  const HeatMap map = heat_map(r, places, {.columns = 10, .rows_per_run_max = 8});
  CHECK(map.rows.size() == 9);
  uint64_t on_single = 0, all = 0;
  for (const HeatCell& c : map.cells) {
    all += c.faults;
    if (map.rows[c.row].first_page == 104 && map.rows[c.row].last_page == 104) on_single += c.faults;
  }
  CHECK(all == 90);
  CHECK(on_single == 11);
}
