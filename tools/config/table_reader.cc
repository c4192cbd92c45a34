// SPDX-License-Identifier: Apache-2.0
#include "tools/config/table_reader.h"

#include <algorithm>

#include "base/error.h"
#include "base/types.h"
#include "tools/config/suggest.h"

namespace pando::config {
namespace {

constexpr size_t kListMax = 256;   // entries of a list in a config file
constexpr size_t kTextMax = 4096;  // bytes of a text
constexpr size_t kNameMax = 15;    // the guest keeps names in 16 bytes

std::string format_ns(uint64_t ns) {
  if (ns % 1'000'000'000 == 0) return std::to_string(ns / 1'000'000'000) + "s";
  if (ns % 1'000'000 == 0) return std::to_string(ns / 1'000'000) + "ms";
  return std::to_string(ns) + "ns";
}

bool is_name(std::string_view text) {
  if (text.empty() || text.size() > kNameMax || text.front() == '-') return false;
  return text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == text.npos;
}

// A piece of the user's file in a message: printable and short.
std::string shown(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 40)) out += (c >= ' ' && c < 127) ? c : '?';
  return text.size() > 40 ? out + "..." : out;
}

}  // namespace

void fail_at(const std::string& file, const toml::source_region& where,
             const std::string& sentence) {
  std::string place = file;
  if (where.begin.line > 0) {
    place += ":" + std::to_string(where.begin.line) + ":" + std::to_string(where.begin.column);
  }
  throw UserError(place + ": " + sentence);
}

void TableReader::refuse_unknown(const std::vector<std::string_view>& sections) const {
  if (table_ == nullptr) return;
  std::vector<std::string_view> known = sections;
  for (const KeySpec& spec : all_keys()) {
    if (spec.section == section_) known.push_back(spec.key);
  }
  for (const auto& [key, value] : *table_) {
    if (std::find(known.begin(), known.end(), key.str()) != known.end()) continue;
    const auto nearest = suggest(key.str(), known);
    std::string sentence = "unknown key '" + shown(key.str()) + "'";
    if (!section_.empty()) sentence += " in [" + std::string(section_) + "]";
    if (nearest) {
      sentence += "; did you mean '" + std::string(*nearest) + "'?";
    } else {
      sentence += "; docs/config.md lists the known ones";
    }
    fail_at(file_, key.source(), sentence);
  }
}

const toml::node* TableReader::node(std::string_view key) const {
  const toml::node* found = table_ == nullptr ? nullptr : table_->get(key);
  if (found == nullptr && find_key(section_, key).need == Need::Required) {
    const KeySpec& spec = find_key(section_, key);
    fail_at(file_, outer_,
            "this [[" + std::string(section_) + "]] has no '" + std::string(key) + "' (" +
                std::string(spec.doc) + "); add it");
  }
  return found;
}

toml::source_region TableReader::where(std::string_view key) const {
  const toml::node* found = table_ == nullptr ? nullptr : table_->get(key);
  return found != nullptr ? found->source() : outer_;
}

void TableReader::fail(std::string_view key, const std::string& sentence) const {
  fail_at(file_, where(key), std::string(key) + ": " + sentence);
}

std::optional<std::string> TableReader::quoted(std::string_view key, const char* example) const {
  const toml::node* found = node(key);
  if (found == nullptr) {
    const KeySpec& spec = find_key(section_, key);
    if (spec.need == Need::Optional) return std::nullopt;
    return std::string(spec.fallback);
  }
  const auto text = found->value_exact<std::string>();
  if (!text) fail(key, std::string("wants a quoted text such as ") + example);
  if (text->size() > kTextMax)
    fail(key, "is longer than " + std::to_string(kTextMax) + " bytes; shorten it");
  if (text->find('\0') != text->npos) fail(key, "contains a NUL character; remove it");
  return text;
}

std::optional<std::string> TableReader::maybe_text(std::string_view key) const {
  return quoted(key, "\"text\"");
}

std::string TableReader::text(std::string_view key) const {
  return maybe_text(key).value();
}

std::optional<std::string> TableReader::maybe_name(std::string_view key) const {
  auto text = quoted(key, "\"a\"");
  if (text && !is_name(*text)) {
    fail(key,
         "'" + shown(*text) + "' is no name; use 1 to 15 of a-z, 0-9 and -, not beginning with -");
  }
  return text;
}

std::string TableReader::name(std::string_view key) const {
  return maybe_name(key).value();
}

std::vector<std::string> TableReader::strings(std::string_view key, const toml::array& list) const {
  if (list.size() > kListMax)
    fail(key, "has more than " + std::to_string(kListMax) + " entries; shorten it");
  std::vector<std::string> out;
  for (const toml::node& item : list) {
    const auto text = item.value_exact<std::string>();
    const bool good =
        text && !text->empty() && text->size() <= kTextMax && text->find('\0') == text->npos;
    if (!good)
      fail_at(file_, item.source(),
              std::string(key) + ": wants quoted, non-empty texts in its list");
    out.push_back(*text);
  }
  return out;
}

std::optional<std::vector<std::string>> TableReader::maybe_paths(std::string_view key) const {
  const toml::node* found = node(key);
  if (found == nullptr) return std::nullopt;
  if (const auto text = found->value_exact<std::string>()) {
    const auto checked = quoted(key, "\"file\"");
    if (checked->empty()) fail(key, "is empty; name a file, or write [] for none");
    return std::vector{*checked};
  }
  if (const toml::array* list = found->as_array()) return strings(key, *list);
  fail(key, "wants a file such as \"initrd.cpio\" or a list of files");
}

std::vector<std::string> TableReader::words(std::string_view key) const {
  const toml::node* found = node(key);
  if (found == nullptr) return {};
  if (const toml::array* list = found->as_array()) return strings(key, *list);
  fail(key, "wants a list such as [\"ssh\", \"user@host\"]");
}

template <class T>
std::optional<T> TableReader::within_limits(std::string_view key, std::optional<T> value,
                                            uint64_t number, const std::string& least,
                                            const std::string& most) const {
  const KeySpec& spec = find_key(section_, key);
  if (number < spec.least || number > spec.most)
    fail(key, "is out of range; use " + least + " to " + most);
  return value;
}

std::optional<uint64_t> TableReader::maybe_bytes(std::string_view key) const {
  const auto text = quoted(key, "\"512MiB\"");
  if (!text) return std::nullopt;
  const auto value = parse_bytes(*text);
  if (!value)
    fail(key,
         "'" + shown(*text) + "' is no size; write a whole number and KiB, MiB or GiB: \"512MiB\"");
  const KeySpec& spec = find_key(section_, key);
  if (*value % kPageSize != 0) fail(key, "is no multiple of the page size; use a multiple of 4KiB");
  return within_limits(key, value, *value, format_bytes(spec.least), format_bytes(spec.most));
}

uint64_t TableReader::bytes(std::string_view key) const {
  return maybe_bytes(key).value();
}

std::optional<std::chrono::nanoseconds> TableReader::maybe_duration(std::string_view key) const {
  const auto text = quoted(key, "\"15s\"");
  if (!text) return std::nullopt;
  const auto value = parse_duration(*text);
  if (!value)
    fail(key,
         "'" + shown(*text) + "' is no time; write a whole number and us, ms, s or min: \"15s\"");
  const KeySpec& spec = find_key(section_, key);
  return within_limits(key, value, static_cast<uint64_t>(value->count()), format_ns(spec.least),
                       format_ns(spec.most));
}

std::chrono::nanoseconds TableReader::duration(std::string_view key) const {
  return maybe_duration(key).value();
}

std::optional<uint32_t> TableReader::maybe_count(std::string_view key) const {
  const toml::node* found = node(key);
  if (found == nullptr) return std::nullopt;
  const auto value = found->value_exact<int64_t>();
  if (!value) fail(key, "wants a whole number such as 2, without quotes");
  const KeySpec& spec = find_key(section_, key);
  return within_limits<uint32_t>(key, static_cast<uint32_t>(*value), static_cast<uint64_t>(*value),
                                 std::to_string(spec.least), std::to_string(spec.most));
}

uint32_t TableReader::count(std::string_view key) const {
  return maybe_count(key).value();
}

std::optional<bool> TableReader::maybe_on(std::string_view key) const {
  const toml::node* found = node(key);
  if (found == nullptr) {
    const KeySpec& spec = find_key(section_, key);
    if (spec.need == Need::Optional) return std::nullopt;
    return spec.fallback == "true";
  }
  const auto value = found->value_exact<bool>();
  if (!value) fail(key, "wants true or false, without quotes");
  return value;
}

bool TableReader::on(std::string_view key) const {
  return maybe_on(key).value();
}

std::optional<Endpoint> TableReader::maybe_endpoint(std::string_view key) const {
  const auto text = quoted(key, "\"127.0.0.1:0\"");
  if (!text) return std::nullopt;
  auto value = parse_endpoint(*text);
  if (!value)
    fail(key, "'" + shown(*text) + "' is no address; write host:port, such as \"127.0.0.1:0\"");
  return value;
}

Endpoint TableReader::endpoint(std::string_view key) const {
  return maybe_endpoint(key).value();
}

std::vector<int> TableReader::cpus(std::string_view key) const {
  const auto text = quoted(key, "\"0-1,3\"");
  if (!text) return {};
  const auto value = parse_cpu_list(*text);
  if (!value) fail(key, "'" + shown(*text) + "' is no list of host CPUs; write it as in \"0-1,3\"");
  return *value;
}

const toml::array* TableReader::array(std::string_view key) const {
  const toml::node* found = node(key);
  if (found == nullptr) return nullptr;
  if (const toml::array* list = found->as_array()) return list;
  fail(key, "wants a list");
}

}  // namespace pando::config
