// SPDX-License-Identifier: Apache-2.0
#include "tools/observe/chrome_trace.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <map>

#include "tests/catch.h"
#include "tests/unit/tools/observe/recordings.h"

using namespace pando;
using namespace pando::observe;
using namespace pando::observe::test;

namespace {

void event(v1::Recording& r, int node, v1::TraceKind kind, const std::string& type, uint32_t peer, int64_t at_ns,
           uint64_t page = 0, uint64_t detail = 0) {
  v1::TraceEvent* e = r.mutable_nodes(node)->add_events();
  e->set_sequence(static_cast<uint64_t>(r.nodes(node).events_size()));
  e->set_monotonic_ns(at_ns);
  e->set_kind(kind);
  e->set_type_name(type);
  e->set_type(type == "GetM" ? 2 : 5);
  e->set_peer(peer);
  e->set_page(page);
  e->set_request(3);
  e->set_detail(detail);
}

// The trace events of the file, by phase.
std::multimap<std::string, google::protobuf::Struct> written(const v1::Recording& r) {
  std::string text;
  write_chrome_trace(r, Naming(r, nullptr), [&](const std::string& piece) { text += piece; });
  google::protobuf::Struct file;
  REQUIRE(google::protobuf::util::JsonStringToMessage(text, &file).ok());
  std::multimap<std::string, google::protobuf::Struct> events;
  for (const auto& value : file.fields().at("traceEvents").list_value().values())
    events.emplace(value.struct_value().fields().at("ph").string_value(), value.struct_value());
  return events;
}

double number(const google::protobuf::Struct& s, const char* name) { return s.fields().at(name).number_value(); }
std::string text(const google::protobuf::Struct& s, const char* name) { return s.fields().at(name).string_value(); }

}  // namespace

TEST_CASE("chrome trace: a fault is a span that ends when the page was there, named after what was touched") {
  v1::Recording r = two_nodes();
  touch(r, {1, 5, 0x4c5000, 0x1000});
  const auto events = written(r);
  REQUIRE(events.count("X") == 1);
  const auto& fault = events.find("X")->second;
  CHECK(text(fault, "name") == "write victim[42] 0x4c5000");
  CHECK(number(fault, "ts") == Approx(0));  // the earliest of all
  CHECK(number(fault, "dur") == Approx(100));
  CHECK(number(fault, "pid") == 2);
}

TEST_CASE("chrome trace: a message seen at both ends gets one arrow, on corrected clocks") {
  v1::Recording r = two_nodes();
  r.mutable_nodes(1)->set_clock_offset_ns(1'000'000);
  event(r, 0, v1::TRACE_PAGE_SENT, "GetM", 1, 5'000'000, 9);
  event(r, 1, v1::TRACE_PAGE_RECEIVED, "GetM", 0, 6'050'000, 9);  // 5.05 ms on node a's clock
  event(r, 0, v1::TRACE_PAGE_SENT, "GetM", 1, 7'000'000, 10);     // never arrived
  const auto events = written(r);
  REQUIRE(events.count("s") == 1);
  REQUIRE(events.count("f") == 1);
  const auto &from = events.find("s")->second, &to = events.find("f")->second;
  CHECK(number(from, "id") == number(to, "id"));
  CHECK(number(to, "ts") - number(from, "ts") == Approx(50));
  CHECK(events.count("X") == 3);
}

TEST_CASE("chrome trace: a shoot-down lasts until its acknowledgement") {
  v1::Recording r = two_nodes();
  event(r, 0, v1::TRACE_FABRIC_SENT, "MmUnmap", 1, 5'000'000, 0, 77);
  event(r, 0, v1::TRACE_FABRIC_RECEIVED, "Ack", 1, 5'300'000, 0, 77);
  event(r, 0, v1::TRACE_FABRIC_RECEIVED, "Ack", 1, 5'400'000, 0, 78);  // of another one
  const auto events = written(r);
  REQUIRE(events.count("b") == 1);
  REQUIRE(events.count("e") == 1);
  const auto &begin = events.find("b")->second, &end = events.find("e")->second;
  CHECK(text(begin, "name") == "MmUnmap on b");
  CHECK(number(end, "ts") - number(begin, "ts") == Approx(300));
}

TEST_CASE("chrome trace: what was lost is shown") {
  v1::Recording r = two_nodes();
  r.mutable_nodes(1)->set_events_lost(12);
  const auto events = written(r);
  bool found = false;
  for (auto [at, end] = events.equal_range("C"); at != end; ++at)
    found |= number(at->second, "pid") == 2 && number(at->second.fields().at("args").struct_value(), "events") == 12;
  CHECK(found);
}
