// SPDX-License-Identifier: Apache-2.0
// Numbers with units as people write them in config files and on command lines: "512MiB", "1.5s",
// "0-1,3". Each parse_ function takes the whole text or refuses it (nullopt); none accepts signs,
// blanks inside or overflow.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pando::config {

// Units B, KiB, MiB, GiB, TiB; whole numbers.
std::optional<uint64_t> parse_bytes(std::string_view text);
// The largest unit that divides `bytes`: "512MiB".
std::string format_bytes(uint64_t bytes);

// Units ns, us, ms, s, min; whole numbers.
std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text);

// Host CPU list of the kernel's form "0-1,3"; ascending, without doubles, at most 4096 CPUs.
std::optional<std::vector<int>> parse_cpu_list(std::string_view text);

struct Endpoint {
  std::string host;  // name, IPv4 or IPv6 address (without brackets)
  uint16_t port = 0;
  bool loopback() const;  // 127.0.0.0/8, ::1, localhost
  bool wildcard() const;  // 0.0.0.0, ::
  std::string text() const;
};
// "host:port" or "[v6 address]:port".
std::optional<Endpoint> parse_endpoint(std::string_view text);

}  // namespace pando::config
