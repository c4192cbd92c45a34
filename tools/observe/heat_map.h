// SPDX-License-Identifier: Apache-2.0
// Which node got which page when: rows are pages or equal parts of a run of pages, columns are parts of the recording's
// time.  Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "tools/observe/hot_places.h"

namespace pando::observe {

struct HeatCell {
  uint32_t row = 0, column = 0;
  uint32_t owner = 0;   // node that got it last in this time
  uint64_t faults = 0;
};
struct HeatRow {
  size_t place = 0;        // index into the places
  uint64_t first_page = 0, last_page = 0;
};
struct HeatMap {
  uint32_t columns = 0;
  double seconds_per_column = 0;
  std::vector<HeatRow> rows;    // ascending by page
  std::vector<HeatCell> cells;  // those with faults
};

struct HeatMapSize {
  uint32_t columns = 120;
  size_t places_max = 32;
  uint64_t rows_per_run_max = 8;
};
HeatMap heat_map(const v1::Recording& recording, const std::vector<Place>& places, const HeatMapSize& size);

}  // namespace pando::observe
