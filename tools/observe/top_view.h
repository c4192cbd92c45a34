// SPDX-License-Identifier: Apache-2.0
// What `pando top` shows of a recording: as a table for people, as JSON for programs.  Pure.
#pragma once

#include <cstddef>
#include <string>

#include "proto/observe.pb.h"
#include "tools/observe/advice.h"
#include "tools/observe/json_writer.h"

namespace pando::observe {

// Everything that is derived from a recording, once.
struct Analysis {
  Analysis(const v1::Recording& r, const KernelImage* image);
  const v1::Recording& recording;
  Naming naming;
  std::vector<Place> places;    // most expensive first
  std::vector<Advice> advice;   // most expensive first
};

struct TableSize {
  size_t columns = 120;  // lines are cut there
  size_t places_max = 20;
  size_t advice_max = 5;
};
std::string top_table(const Analysis& analysis, const TableSize& size);

// A place over the whole recording, for `monitor hot`: faults, milliseconds waited, home, nodes, name, most frequent code.
std::string hot_line(const Analysis& analysis, const Place& place);

// One object; docs/observe.md has its members.
std::string top_json(const Analysis& analysis, size_t places_max);
// The parts that the report has, too: members of an open object.
void write_nodes(JsonWriter& json, const Analysis& analysis);
void write_places(JsonWriter& json, const Analysis& analysis, size_t places_max);
void write_advice(JsonWriter& json, const Analysis& analysis);

}  // namespace pando::observe
