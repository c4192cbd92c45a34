// SPDX-License-Identifier: Apache-2.0
// SHA-256 by OpenSSL.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace pando::dsm {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  void add(std::string_view bytes);
  std::string hex();  // once, at the end: 64 lower-case digits

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

bool is_sha256(const std::string& text);  // 64 lower-case hex digits

}  // namespace pando::dsm
