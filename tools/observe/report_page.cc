// SPDX-License-Identifier: Apache-2.0
#include "tools/observe/report_page.h"

#include <algorithm>
#include <array>
#include <map>

#include "base/error.h"
#include "tools/observe/heat_map.h"
#include "tools/observe/summary.h"

namespace pando::observe {

extern const char kReportTemplate[];  // report.html

namespace {

constexpr size_t kPlacesMax = 40, kSymbolsMax = 20;
constexpr std::string_view kDataMark = "/*DATA*/null";

struct Leg {
  const char* name;
  const char* meaning;
};
constexpr std::array kLegs = {
    Leg{"request", "whole request: begun until the right is granted"},
    Leg{"answer", "request sent until data or grant came"},
    Leg{"home", "at the home: request received until done"},
    Leg{"revoke", "taking the page away from every mapping"},
    Leg{"install", "data received until waiters were woken"},
    Leg{"hold", "message parked until the hold was over"},
};

void write_legs(JsonWriter& json, const Analysis& a) {
  json.key("legs").open_array();
  const auto write = [&](const std::string& name, const char* meaning, const std::map<uint64_t, uint64_t>& histogram) {
    json.open_object().member("name", name).member("meaning", meaning);
    json.member("p50_ns", quantile(histogram, 0.5)).member("p99_ns", quantile(histogram, 0.99));
    json.key("buckets").open_array();
    for (const auto& [upper, count] : histogram) json.open_array().number(upper).number(count).close_array();
    json.close_array().close_object();
  };
  for (const Leg& leg : kLegs) write(leg.name, leg.meaning, leg_histogram(a.recording, leg.name));
  json.close_array();
}

void write_traffic(JsonWriter& json, const Analysis& a) {
  json.key("traffic").open_array();
  for (const Traffic& t : traffic_of(a.recording)) {
    json.open_object().member("from", a.naming.of_node(t.from)).member("to", a.naming.of_node(t.to));
    json.member("bytes", t.bytes).member("pages", t.pages).member("messages", t.page_messages);
    json.member("fabric", t.fabric).close_object();
  }
  json.close_array();
}

void write_heat(JsonWriter& json, const Analysis& a) {
  const HeatMap map = heat_map(a.recording, a.places, {});
  json.key("heat").open_object().member("columns", map.columns).member("seconds_per_column", map.seconds_per_column);
  json.key("rows").open_array();
  for (const HeatRow& row : map.rows) {
    json.open_object().member("name", a.naming.of_place(a.places[row.place]));
    json.key("first_page").hex(row.first_page).key("last_page").hex(row.last_page).close_object();
  }
  json.close_array().key("cells").open_array();
  for (const HeatCell& c : map.cells)
    json.open_array().number(c.row).number(c.column).text(a.naming.of_node(c.owner)).number(c.faults).close_array();
  json.close_array().close_object();
}

// Functions whose instructions waited longest.
void write_symbols(JsonWriter& json, const Analysis& a) {
  struct Sum {
    uint64_t faults = 0, wait_ns = 0;
    bool lock = false;
  };
  std::map<std::string, Sum> sums;
  for (const v1::RecordedNode& node : a.recording.nodes()) {
    for (const v1::FaultRecord& fault : node.faults()) {
      const Code code{fault.rip(), fault.user() ? fault.mm() : 0};
      const std::string name = a.naming.of_code(code);
      Sum& sum = sums[name.substr(0, name.find('+'))];
      ++sum.faults;
      sum.wait_ns += fault.wait_ns();
      sum.lock |= a.naming.is_lock(code);
    }
  }
  std::vector<std::pair<std::string, Sum>> order(sums.begin(), sums.end());
  std::ranges::stable_sort(order, [](const auto& x, const auto& y) { return x.second.wait_ns > y.second.wait_ns; });
  if (order.size() > kSymbolsMax) order.resize(kSymbolsMax);
  json.key("symbols").open_array();
  for (const auto& [name, sum] : order)
    json.open_object().member("name", name).member("faults", sum.faults).member("wait_ns", sum.wait_ns)
        .member("lock", sum.lock).close_object();
  json.close_array();
}

}  // namespace

std::string report_json(const Analysis& a) {
  JsonWriter json;
  json.open_object().member("cluster", a.recording.cluster()).member("begun_unix_ns", a.recording.begun_unix_ns());
  json.member("seconds", seconds_of(a.recording));
  write_nodes(json, a);
  write_advice(json, a);
  write_heat(json, a);
  write_legs(json, a);
  write_traffic(json, a);
  write_places(json, a, kPlacesMax);
  write_symbols(json, a);
  json.close_object();
  return json.take();
}

std::string report_page(const Analysis& analysis) {
  std::string page = kReportTemplate;
  const size_t at = page.find(kDataMark);
  CHECK(at != std::string::npos);
  return page.replace(at, kDataMark.size(), report_json(analysis));
}

}  // namespace pando::observe
