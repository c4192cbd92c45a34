// SPDX-License-Identifier: Apache-2.0
#include "tools/config/quantity.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <limits>

namespace pando::config {
namespace {

struct Unit {
  std::string_view name;
  uint64_t factor;
};

constexpr std::array<Unit, 5> kByteUnits{{{"B", 1},
                                          {"KiB", uint64_t{1} << 10},
                                          {"MiB", uint64_t{1} << 20},
                                          {"GiB", uint64_t{1} << 30},
                                          {"TiB", uint64_t{1} << 40}}};
constexpr std::array<Unit, 5> kTimeUnits{
    {{"ns", 1}, {"us", 1'000}, {"ms", 1'000'000}, {"s", 1'000'000'000}, {"min", 60'000'000'000}}};
constexpr int kHostCpusMax = 4096;

template <class Integer>
std::optional<Integer> parse_number(std::string_view text) {
  Integer value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || text.front() == '-')
    return std::nullopt;
  return value;
}

template <size_t N>
std::optional<uint64_t> parse_with_unit(std::string_view text, const std::array<Unit, N>& units) {
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  if (digits == 0) return std::nullopt;
  const auto value = parse_number<uint64_t>(text.substr(0, digits));
  if (!value) return std::nullopt;
  for (const Unit& unit : units) {
    if (text.substr(digits) != unit.name) continue;
    if (*value > std::numeric_limits<uint64_t>::max() / unit.factor) return std::nullopt;
    return *value * unit.factor;
  }
  return std::nullopt;
}

bool is_host_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-' || c == '_';
}

}  // namespace

std::optional<uint64_t> parse_bytes(std::string_view text) {
  return parse_with_unit(text, kByteUnits);
}

std::string format_bytes(uint64_t bytes) {
  size_t unit = 0;
  while (unit + 1 < kByteUnits.size() && bytes != 0 && bytes % kByteUnits[unit + 1].factor == 0)
    ++unit;
  return std::to_string(bytes / kByteUnits[unit].factor) + std::string(kByteUnits[unit].name);
}

std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  const auto ns = parse_with_unit(text, kTimeUnits);
  if (!ns || *ns > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
  return std::chrono::nanoseconds(static_cast<int64_t>(*ns));
}

std::optional<std::vector<int>> parse_cpu_list(std::string_view text) {
  std::vector<int> cpus;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    const std::string_view item = text.substr(0, comma);
    if (comma + 1 == text.size()) return std::nullopt;  // a comma at the end
    text.remove_prefix(std::min(comma + 1, text.size()));
    const size_t dash = item.find('-');
    if (item.empty() || dash == 0 || dash + 1 == item.size()) return std::nullopt;
    const auto first = parse_number<int>(item.substr(0, dash));
    const auto last = dash == item.npos ? first : parse_number<int>(item.substr(dash + 1));
    if (!first || !last || *first > *last || *last >= kHostCpusMax) return std::nullopt;
    for (int cpu = *first; cpu <= *last; ++cpu) {
      if (std::find(cpus.begin(), cpus.end(), cpu) == cpus.end()) cpus.push_back(cpu);
    }
  }
  if (cpus.empty()) return std::nullopt;
  std::sort(cpus.begin(), cpus.end());
  return cpus;
}

bool Endpoint::loopback() const {
  return host.rfind("127.", 0) == 0 || host == "::1" || host == "localhost";
}

bool Endpoint::wildcard() const {
  return host == "0.0.0.0" || host == "::";
}

std::string Endpoint::text() const {
  const bool v6 = host.find(':') != host.npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::optional<Endpoint> parse_endpoint(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == text.npos || colon == 0 || colon + 1 == text.size()) return std::nullopt;
  const auto port = parse_number<uint16_t>(text.substr(colon + 1));
  std::string_view host = text.substr(0, colon);
  if (!port || host.size() > 253) return std::nullopt;
  if (host.front() == '[') {
    if (host.size() < 4 || host.back() != ']') return std::nullopt;
    host = host.substr(1, host.size() - 2);
    if (host.find_first_not_of("0123456789abcdefABCDEF:.") != host.npos) return std::nullopt;
  } else if (!std::all_of(host.begin(), host.end(), is_host_character)) {
    return std::nullopt;
  }
  return Endpoint{std::string(host), *port};
}

}  // namespace pando::config
