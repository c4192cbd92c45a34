// SPDX-License-Identifier: Apache-2.0
#include "tools/observe/heat_map.h"

#include <algorithm>
#include <map>
#include <optional>

namespace pando::observe {

namespace {

std::vector<HeatRow> make_rows(const std::vector<Place>& places, const HeatMapSize& size) {
  std::vector<HeatRow> rows;
  for (size_t i = 0; i < std::min(places.size(), size.places_max); ++i) {
    const Place& place = places[i];
    const uint64_t span = place.last_page - place.first_page + 1;
    const uint64_t parts = std::min({span, place.pages, size.rows_per_run_max});
    for (uint64_t part = 0; part < parts; ++part)
      rows.push_back({i, place.first_page + span * part / parts, place.first_page + span * (part + 1) / parts - 1});
  }
  std::ranges::stable_sort(rows, {}, &HeatRow::first_page);
  return rows;
}

// Rows of runs may enclose pages that have rows of their own: the smallest that has the page counts.
std::optional<uint32_t> row_of(const std::vector<HeatRow>& rows, uint64_t page) {
  std::optional<uint32_t> best;
  for (uint32_t i = 0; i < rows.size() && rows[i].first_page <= page; ++i) {
    if (rows[i].last_page < page) continue;
    if (!best || rows[i].last_page - rows[i].first_page < rows[*best].last_page - rows[*best].first_page) best = i;
  }
  return best;
}

struct Latest {
  HeatCell cell;
  int64_t at_ns = INT64_MIN;
};

}  // namespace

HeatMap heat_map(const v1::Recording& recording, const std::vector<Place>& places, const HeatMapSize& size) {
  HeatMap map;
  map.columns = size.columns;
  map.seconds_per_column = seconds_of(recording) / size.columns;
  map.rows = make_rows(places, size);
  std::map<std::pair<uint32_t, uint32_t>, Latest> cells;
  std::map<uint64_t, std::optional<uint32_t>> known_rows;
  for (const v1::RecordedNode& node : recording.nodes()) {
    for (const v1::FaultRecord& fault : node.faults()) {
      const auto [known, is_new] = known_rows.try_emplace(fault.page());
      if (is_new) known->second = row_of(map.rows, fault.page());
      if (!known->second) continue;
      const double since = static_cast<double>(fault.monotonic_ns() - node.before().monotonic_ns()) * 1e-9;
      const double column = std::clamp(since / map.seconds_per_column, 0.0, static_cast<double>(map.columns - 1));
      const std::pair at{*known->second, static_cast<uint32_t>(column)};
      Latest& latest = cells[at];
      ++latest.cell.faults;
      const int64_t when = fault.monotonic_ns() - node.clock_offset_ns();
      if (when < latest.at_ns) continue;
      latest.at_ns = when;
      latest.cell.row = at.first;
      latest.cell.column = at.second;
      latest.cell.owner = node.id();
    }
  }
  for (const auto& [at, latest] : cells) map.cells.push_back(latest.cell);
  return map;
}

}  // namespace pando::observe
