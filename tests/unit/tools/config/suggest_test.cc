// SPDX-License-Identifier: Apache-2.0
#include "tools/config/suggest.h"

#include "tests/catch.h"

using namespace pando::config;

TEST_CASE("suggest: distance: each kind of slip costs one") {
  CHECK(edit_distance("", "") == 0);
  CHECK(edit_distance("memory", "memory") == 0);
  CHECK(edit_distance("memry", "memory") == 1);
  CHECK(edit_distance("memoory", "memory") == 1);
  CHECK(edit_distance("nemory", "memory") == 1);
  CHECK(edit_distance("mmeory", "memory") == 1);
  CHECK(edit_distance("", "abc") == 3);
}

TEST_CASE("suggest: words: near ones are found, far ones are not") {
  const std::vector<std::string_view> known{"memory", "vcpus", "listen", "name"};
  CHECK(suggest("vcpu", known) == "vcpus");
  CHECK(suggest("mem0ry", known) == "memory");
  CHECK_FALSE(suggest("frobnicate", known).has_value());
  CHECK_FALSE(suggest("x", known).has_value());
  CHECK_FALSE(suggest(std::string(5000, 'm'), known).has_value());
}
