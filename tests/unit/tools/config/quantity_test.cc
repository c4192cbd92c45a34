// SPDX-License-Identifier: Apache-2.0
#include "tools/config/quantity.h"

#include "tests/catch.h"

using namespace pando::config;
using namespace std::chrono_literals;

TEST_CASE("quantity: sizes: whole numbers with a unit") {
  CHECK(parse_bytes("512MiB") == uint64_t{512} << 20);
  CHECK(parse_bytes("4096B") == 4096u);
  CHECK(parse_bytes("1TiB") == uint64_t{1} << 40);
  CHECK(parse_bytes("16777215TiB") == uint64_t{16777215} << 40);
}

TEST_CASE("quantity: sizes: anything else is refused") {
  for (const char* bad : {"", "MiB", "512", "512 MiB", "-1MiB", "+1MiB", "1.5GiB", "512MB",
                          "512mib", "512MiBx", "16777216TiB", "99999999999999999999B"}) {
    INFO(bad);
    CHECK_FALSE(parse_bytes(bad).has_value());
  }
}

TEST_CASE("quantity: sizes: format_bytes takes the largest unit without a remainder") {
  CHECK(format_bytes(uint64_t{512} << 20) == "512MiB");
  CHECK(format_bytes(1025) == "1025B");
  CHECK(format_bytes(0) == "0B");
  CHECK(format_bytes(uint64_t{2048} << 40) == "2048TiB");
}

TEST_CASE("quantity: times: units from ns to min, overflow refused") {
  CHECK(parse_duration("15s") == 15s);
  CHECK(parse_duration("150us") == 150us);
  CHECK(parse_duration("2min") == 120s);
  CHECK(parse_duration("0ms") == 0ns);
  for (const char* bad :
       {"", "s", "15", "15sec", "1h", "-1s", "1.5s", "9223372037s", "18446744073709551615min"}) {
    INFO(bad);
    CHECK_FALSE(parse_duration(bad).has_value());
  }
}

TEST_CASE("quantity: CPU lists: ranges are expanded, sorted, without doubles") {
  CHECK(parse_cpu_list("0") == std::vector<int>{0});
  CHECK(parse_cpu_list("3,0-1") == std::vector<int>{0, 1, 3});
  CHECK(parse_cpu_list("0-2,1") == std::vector<int>{0, 1, 2});
  for (const char* bad :
       {"", ",", "0,", ",0", "0,,1", "1-0", "-1", "0-", "a", "0-9999999999", "4096", "0 1"}) {
    INFO(bad);
    CHECK_FALSE(parse_cpu_list(bad).has_value());
  }
}

TEST_CASE("quantity: endpoints: host and port of each family") {
  CHECK(parse_endpoint("127.0.0.1:0")->loopback());
  CHECK(parse_endpoint("10.0.0.2:7711")->port == 7711);
  CHECK_FALSE(parse_endpoint("10.0.0.2:7711")->loopback());
  CHECK(parse_endpoint("[::1]:80")->host == "::1");
  CHECK(parse_endpoint("[::1]:80")->text() == "[::1]:80");
  CHECK(parse_endpoint("0.0.0.0:1")->wildcard());
  CHECK(parse_endpoint("localhost:65535")->text() == "localhost:65535");
  for (const char* bad : {"", ":", "a:", ":1", "a", "a:65536", "a:-1", "a b:1", "::1:80", "[::1:80",
                          "[]:1", "[x]:1", "unix:/tmp/x", "a:1x"}) {
    INFO(bad);
    CHECK_FALSE(parse_endpoint(bad).has_value());
  }
}
