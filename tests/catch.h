// SPDX-License-Identifier: Apache-2.0
// Catch2 v2 (Debian 12) and v3 (Debian 13) under one name.  Tests include this file, as the last
// one, and nothing of Catch2 itself: from here on CHECK is Catch2's, not the one of base/error.h.
#pragma once

#include "base/error.h"
#undef CHECK

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>

#include <string>

namespace Catch::Matchers {
// The v3 name of v2's Contains().
inline auto ContainsSubstring(const std::string& part) {
  return Contains(part);
}
}  // namespace Catch::Matchers
#endif
