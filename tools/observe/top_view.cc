// SPDX-License-Identifier: Apache-2.0
#include "tools/observe/top_view.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <ctime>

#include "tools/observe/summary.h"

namespace pando::observe {

namespace {

constexpr size_t kCodeMax = 5, kWordsMax = 4;  // per place, in JSON

[[gnu::format(printf, 1, 2)]] std::string format(const char* how, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, how);
  const int n = std::vsnprintf(text, sizeof text, how, arguments);
  va_end(arguments);
  return std::string(text, std::min<size_t>(static_cast<size_t>(std::max(n, 0)), sizeof text - 1));
}

std::string cut(std::string text, size_t columns) {
  if (text.size() > columns) text.resize(columns);
  return text + "\n";
}

std::string microseconds(uint64_t ns) { return ns == 0 ? "-" : format("%.0f", static_cast<double>(ns) / 1e3); }

std::string node_line(const NodeSummary& n) {
  if (!n.error.empty()) return format("  %-12s %s", n.name.c_str(), n.error.c_str());
  std::string line = format("  %-12s %6.2f %6.2f %9.0f %9.0f %9s %9s %9.2f %9.2f", n.name.c_str(), n.guest_cpus, n.agent_cpus,
                            n.faults_per_s, n.served_per_s, microseconds(n.wait_p50_ns).c_str(),
                            microseconds(n.wait_p99_ns).c_str(), n.bytes_in_per_s / 1048576, n.bytes_out_per_s / 1048576);
  if (n.faults_lost) line += format("   (%lu fault records lost)", static_cast<unsigned long>(n.faults_lost));
  return line;
}

std::vector<std::pair<Code, uint64_t>> code_by_faults(const Place& place) {
  std::vector<std::pair<Code, uint64_t>> code(place.code.begin(), place.code.end());
  std::ranges::stable_sort(code, [](const auto& a, const auto& b) { return a.second > b.second; });
  return code;
}

// "a 120w b 80r": faults of each node, with the letter of what most were.
std::string fighters(const Analysis& a, const Place& place) {
  std::string out;
  for (const auto& [node, counts] : place.nodes)
    out += format("%s%s %lu%s", out.empty() ? "" : "  ", a.naming.of_node(node).c_str(),
                  static_cast<unsigned long>(counts.faults), counts.writes * 2 >= counts.faults ? "w" : "r");
  return out;
}

std::string place_line(const Analysis& a, const Place& place, double seconds) {
  const auto code = code_by_faults(place);
  return format("  %9.0f %9.2f  %-44.44s %-6.6s %-20.20s %s%s", static_cast<double>(place.faults) / seconds,
                static_cast<double>(place.wait_ns) / 1e6 / seconds, a.naming.of_place(place).c_str(),
                a.naming.of_node(place.home).c_str(), fighters(a, place).c_str(),
                code.empty() ? "" : a.naming.of_code(code.front().first).c_str(), place.lock_faults ? " (lock)" : "");
}

}  // namespace

std::string hot_line(const Analysis& a, const Place& place) {
  const auto code = code_by_faults(place);
  return format("%8lu %9.2f  %-6.6s  %-20.20s  %s%s%s%s", static_cast<unsigned long>(place.faults),
                static_cast<double>(place.wait_ns) / 1e6, a.naming.of_node(place.home).c_str(), fighters(a, place).c_str(),
                a.naming.of_place(place).c_str(), code.empty() ? "" : ", ",
                code.empty() ? "" : a.naming.of_code(code.front().first).c_str(), place.lock_faults ? " (lock)" : "");
}

namespace {

void write_code(JsonWriter& json, const Analysis& a, const Place& place) {
  json.key("code").open_array();
  const auto code = code_by_faults(place);
  for (size_t i = 0; i < std::min(code.size(), kCodeMax); ++i) {
    json.open_object().member("name", a.naming.of_code(code[i].first)).key("address").hex(code[i].first.rip);
    json.member("faults", code[i].second).member("lock", a.naming.is_lock(code[i].first)).close_object();
  }
  json.close_array();
}

void write_node_counts(JsonWriter& json, const Analysis& a, const std::map<uint32_t, NodeCounts>& nodes) {
  json.key("nodes").open_array();
  for (const auto& [node, counts] : nodes) {
    json.open_object().member("name", a.naming.of_node(node)).member("faults", counts.faults);
    json.member("writes", counts.writes).member("wait_ns", counts.wait_ns).close_object();
  }
  json.close_array();
}

void write_words(JsonWriter& json, const Analysis& a, const Place& place) {
  json.key("words").open_array();
  for (size_t i = 0; i < std::min(place.words.size(), kWordsMax); ++i) {
    const Word& word = place.words[i];
    json.open_object().member("name", a.naming.of_address(word.address, word.user ? place.mm : 0));
    json.key("address").hex(word.address).member("faults", word.faults).member("lock_faults", word.lock_faults);
    write_node_counts(json, a, word.nodes);
    json.close_object();
  }
  json.close_array();
}

}  // namespace

Analysis::Analysis(const v1::Recording& r, const KernelImage* image)
    : recording(r), naming(r, image),
      places(find_hot_places(r, {.is_lock = [this](const Code& code) { return naming.is_lock(code); }})),
      advice(advise(places, naming)) {}

std::string top_table(const Analysis& a, const TableSize& size) {
  const double seconds = seconds_of(a.recording);
  std::string out = cut(format("cluster %s, %d nodes, %.1f s", a.recording.cluster().c_str(), a.recording.nodes_size(), seconds),
                        size.columns);
  out += cut(format("  %-12s %6s %6s %9s %9s %9s %9s %9s %9s", "node", "cpus", "agent", "faults/s", "served/s", "p50 us", "p99 us",
                    "MiB/s in", "MiB/s out"), size.columns);
  for (const NodeSummary& node : summarize(a.recording)) out += cut(node_line(node), size.columns);
  out += "\n" + cut(format("  %9s %9s  %-44s %-6s %-20s %s", "faults/s", "wait ms/s", "place", "home", "nodes", "instruction"),
                    size.columns);
  for (size_t i = 0; i < std::min(a.places.size(), size.places_max); ++i)
    out += cut(place_line(a, a.places[i], seconds), size.columns);
  if (a.places.empty()) out += "  no page went from node to node\n";
  if (!a.advice.empty()) out += "\n  advice\n";
  for (size_t i = 0; i < std::min(a.advice.size(), size.advice_max); ++i) out += "  * " + a.advice[i].sentence + "\n";
  return out;
}

void write_nodes(JsonWriter& json, const Analysis& a) {
  json.key("nodes").open_array();
  for (const NodeSummary& n : summarize(a.recording)) {
    json.open_object().member("id", n.id).member("name", n.name);
    if (!n.error.empty()) json.member("error", n.error);
    json.member("guest_cpus", n.guest_cpus).member("agent_cpus", n.agent_cpus);
    json.member("faults_per_s", n.faults_per_s).member("served_per_s", n.served_per_s);
    json.member("bytes_in_per_s", n.bytes_in_per_s).member("bytes_out_per_s", n.bytes_out_per_s);
    json.member("wait_p50_ns", n.wait_p50_ns).member("wait_p99_ns", n.wait_p99_ns);
    json.member("faults_lost", n.faults_lost).member("events_lost", n.events_lost).close_object();
  }
  json.close_array();
}

void write_places(JsonWriter& json, const Analysis& a, size_t places_max) {
  const double seconds = seconds_of(a.recording);
  json.key("places").open_array();
  for (size_t i = 0; i < std::min(a.places.size(), places_max); ++i) {
    const Place& p = a.places[i];
    json.open_object().member("name", a.naming.of_place(p)).key("address").hex(p.first_address);
    json.key("last_address").hex(p.last_address).member("first_page", p.first_page).member("pages", p.pages);
    json.member("home", a.naming.of_node(p.home));
    if (const auto owner = a.naming.process(p.mm))
      json.key("process").open_object().member("pid", owner->pid).member("comm", owner->comm).close_object();
    json.member("faults", p.faults).member("writes", p.writes);
    json.member("faults_per_s", static_cast<double>(p.faults) / seconds);
    json.member("wait_ms_per_s", static_cast<double>(p.wait_ns) / 1e6 / seconds).member("lock", p.lock_faults > 0);
    write_node_counts(json, a, p.nodes);
    write_words(json, a, p);
    write_code(json, a, p);
    json.close_object();
  }
  json.close_array();
}

void write_advice(JsonWriter& json, const Analysis& a) {
  json.key("advice").open_array();
  for (const Advice& advice : a.advice) {
    json.open_object().member("kind", name_of(advice.kind)).member("place", static_cast<uint64_t>(advice.place));
    json.key("names").open_array();
    for (const std::string& name : advice.names) json.text(name);
    json.close_array().member("sentence", advice.sentence);
    json.member("wait_ms_per_s", static_cast<double>(advice.wait_ns) / 1e6 / seconds_of(a.recording)).close_object();
  }
  json.close_array();
}

std::string top_json(const Analysis& a, size_t places_max) {
  JsonWriter json;
  json.open_object().member("cluster", a.recording.cluster()).member("seconds", seconds_of(a.recording));
  write_nodes(json, a);
  write_places(json, a, places_max);
  write_advice(json, a);
  json.close_object().newline();
  return json.take();
}

}  // namespace pando::observe
