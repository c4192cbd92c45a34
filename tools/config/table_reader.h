// SPDX-License-Identifier: Apache-2.0
// Typed, checked access to one TOML table by the schema; the only place besides parse.cc that knows
// toml++.
//
// Every function names a key of the schema, fills in its default, and throws UserError
// "file:line:column: sentence" for what does not fit.  refuse_unknown() must be called first.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include "tools/config/quantity.h"
#include "tools/config/schema.h"

namespace pando::config {

[[noreturn]] void fail_at(const std::string& file, const toml::source_region& where,
                          const std::string& sentence);

class TableReader {
 public:
  // `table` may be null: an absent section, all defaults.  `outer` says where it should have been.
  TableReader(const std::string& file, std::string_view section, const toml::table* table,
              toml::source_region outer)
      : file_(file), section_(section), table_(table), outer_(outer) {}

  // Keys that the schema lacks, with a suggestion.  Sub-tables named in `sections` are allowed.
  void refuse_unknown(const std::vector<std::string_view>& sections = {}) const;

  std::string text(std::string_view key) const;
  std::optional<std::string> maybe_text(std::string_view key) const;
  std::optional<std::string> maybe_name(std::string_view key) const;
  std::string name(std::string_view key) const;
  std::optional<std::vector<std::string>> maybe_paths(std::string_view key) const;
  std::vector<std::string> words(std::string_view key) const;
  uint64_t bytes(std::string_view key) const;
  std::optional<uint64_t> maybe_bytes(std::string_view key) const;
  std::chrono::nanoseconds duration(std::string_view key) const;
  std::optional<std::chrono::nanoseconds> maybe_duration(std::string_view key) const;
  uint32_t count(std::string_view key) const;
  std::optional<uint32_t> maybe_count(std::string_view key) const;
  bool on(std::string_view key) const;
  std::optional<bool> maybe_on(std::string_view key) const;
  Endpoint endpoint(std::string_view key) const;
  std::optional<Endpoint> maybe_endpoint(std::string_view key) const;
  std::vector<int> cpus(std::string_view key) const;
  const toml::array* array(std::string_view key) const;

  // Where the key's value is, or the table when it has none.
  toml::source_region where(std::string_view key) const;
  [[noreturn]] void fail(std::string_view key, const std::string& sentence) const;

 private:
  const toml::node* node(std::string_view key) const;
  // The text of a key as the file or the default has it; nullopt when absent and Optional.
  std::optional<std::string> quoted(std::string_view key, const char* example) const;
  std::vector<std::string> strings(std::string_view key, const toml::array& list) const;
  template <class T>
  std::optional<T> within_limits(std::string_view key, std::optional<T> value, uint64_t number,
                                 const std::string& least, const std::string& most) const;

  const std::string& file_;
  std::string_view section_;
  const toml::table* table_;
  toml::source_region outer_;
};

}  // namespace pando::config
