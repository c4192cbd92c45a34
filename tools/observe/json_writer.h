// SPDX-License-Identifier: Apache-2.0
// Writes JSON piece by piece; commas and quoting are its business, the balance of brackets the caller's.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace pando::observe {

class JsonWriter {
 public:
  JsonWriter& open_object() { return open('{'); }
  JsonWriter& close_object() { return close('}'); }
  JsonWriter& open_array() { return open('['); }
  JsonWriter& close_array() { return close(']'); }
  // The value follows.
  JsonWriter& key(std::string_view name);

  JsonWriter& text(std::string_view value);
  JsonWriter& number(double value);  // not finite: null
  template <std::integral T>
  JsonWriter& number(T value) {
    return raw(std::to_string(value));
  }
  JsonWriter& boolean(bool value) { return raw(value ? "true" : "false"); }
  JsonWriter& hex(uint64_t value);  // as text: "0x12"

  // Short forms for a member of an object.
  JsonWriter& member(std::string_view name, std::string_view value) { return key(name).text(value); }
  JsonWriter& member(std::string_view name, const char* value) { return key(name).text(value); }
  template <class T>
    requires std::integral<T> || std::floating_point<T>
  JsonWriter& member(std::string_view name, T value) {
    if constexpr (std::same_as<T, bool>) return key(name).boolean(value);
    else return key(name).number(value);
  }

  const std::string& str() const { return out_; }
  std::string take();  // and begins anew in the same place
  JsonWriter& newline() {
    out_ += '\n';
    return *this;
  }

 private:
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);
  JsonWriter& raw(std::string_view value);
  void separate();
  void quote(std::string_view value);

  std::string out_;
  bool need_comma_ = false;
};

}  // namespace pando::observe
