// SPDX-License-Identifier: Apache-2.0
#include "tools/observe/json_writer.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <limits>

#include "tests/catch.h"

using namespace pando::observe;

TEST_CASE("json writer: commas, nesting, numbers") {
  JsonWriter j;
  j.open_object().member("a", 1).member("b", -2.5).member("c", true).key("d").open_array();
  j.number(uint64_t{18446744073709551615u}).text("x").open_object().close_object().open_array().close_array();
  j.close_array().key("e").hex(255).member("f", std::numeric_limits<double>::infinity()).close_object();
  CHECK(j.str() == R"({"a":1,"b":-2.5,"c":true,"d":[18446744073709551615,"x",{},[]],"e":"0xff","f":null})");
}

TEST_CASE("json writer: text that a guest chose cannot end the string, nor the script element around it") {
  JsonWriter j;
  std::string bad = "\"\\\n</script>\x01";
  j.open_object().member("t", bad).close_object();
  CHECK(j.str().find('<') == std::string::npos);
  google::protobuf::Struct parsed;
  REQUIRE(google::protobuf::util::JsonStringToMessage(j.str(), &parsed).ok());
  CHECK(parsed.fields().at("t").string_value() == bad);
}
