// SPDX-License-Identifier: Apache-2.0
// The keys of a cluster file in one table: kind, default, limits, one line of documentation.
// docs/config.md lists the same keys and a test compares the two.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string_view>

namespace pando::config {

enum class Kind : uint8_t {
  Text,      // "any text"
  Name,      // 1-15 of a-z 0-9 -
  Paths,     // "file" or ["file", ...], relative to the cluster file
  Bytes,     // "512MiB", whole pages
  Duration,  // "15s"
  Count,     // 4
  Switch,    // true, false
  Words,     // ["a", "b"]
  Endpoint,  // "127.0.0.1:0"
  CpuList,   // "0-1,3"
  Matrix,    // [[10, 100], [100, 10]]
};

enum class Need : uint8_t {
  Required,   // must be there
  Defaulted,  // `fallback` is the value, in the form in which a file has it
  Optional,   // absent means something of its own, told in `doc`
};

struct KeySpec {
  std::string_view section;  // "" = top level, "node" = [[node]]
  std::string_view key;
  Kind kind;
  Need need;
  std::string_view
      fallback;  // "" where need is not Defaulted, or when the default is an empty text or list
  std::string_view doc;
  uint64_t least = 0;  // of bytes, count, or nanoseconds
  uint64_t most = std::numeric_limits<int64_t>::max();
};

std::span<const KeySpec> all_keys();
const KeySpec& find_key(std::string_view section, std::string_view key);  // must exist

}  // namespace pando::config
