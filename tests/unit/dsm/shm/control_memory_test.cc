// SPDX-License-Identifier: Apache-2.0
#include "dsm/shm/control_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <functional>

#include "base/error.h"
#include "tests/catch.h"

using namespace pando;
using namespace pando::dsm;

namespace {

ControlMemory two_nodes() {
  static const SharedNodeRange kRanges[] = {{0, 1 << 20}, {1 << 20, 2 << 20}};
  static const uint8_t kVcpuNode[] = {0, 1, 1};
  static const uint8_t kDistances[] = {10, 100, 100, 10};
  static const std::string kNames[] = {"left", "a-name-that-is-too-long"};
  ControlConfig c{};
  c.nodes = kRanges;
  c.vcpu_node = kVcpuNode;
  c.distances = kDistances;
  c.node_names = kNames;
  c.self = NodeId(1);
  return ControlMemory::create(c);
}

}  // namespace

TEST_CASE("control memory: attached to what was created: layout, words and rings are shared") {
  const ControlMemory made = two_nodes();
  const ControlMemory seen = ControlMemory::attach(UniqueFd(dup(made.fd())));
  CHECK(seen.page_count() == 768);
  CHECK(seen.header().self == 1);
  CHECK(std::string(seen.header().node_names[1]) == "a-name-that-is-");
  made.word(PageId(767)).initialise(PageWord::kPresent);
  CHECK(seen.word(PageId(767)).peek() == PageWord::kPresent);
  RecordRing out = seen.fabric_out(), in = made.fabric_out();
  const uint8_t text[] = "hello";
  REQUIRE(out.try_push(text, {}) == RecordRing::Push::Done);
  CHECK(in.try_pop([&](std::span<const uint8_t> r) { CHECK(r.size() == sizeof text); }) == RecordRing::Pop::Got);
}

TEST_CASE("control memory: a header that does not fit: attach refuses it with a sentence") {
  const auto spoil = GENERATE(as<std::function<void(ControlHeader&)>>{}, [](ControlHeader& h) { h.magic = 0; },
                              [](ControlHeader& h) { h.version = 99; }, [](ControlHeader& h) { h.ram_bytes += 1; },
                              [](ControlHeader& h) { h.page_words_offset = h.total_bytes; },
                              [](ControlHeader& h) { h.requests.data_bytes = 1000; },
                              [](ControlHeader& h) { h.fabric_in.offset = ~uint64_t{0} - 63; },
                              [](ControlHeader& h) { h.node_count = 17; }, [](ControlHeader& h) { h.nodes[1].start = 0; },
                              [](ControlHeader& h) { h.fault_records_count = 0; });
  const ControlMemory made = two_nodes();
  spoil(made.header());
  CHECK_THROWS_AS(ControlMemory::attach(UniqueFd(dup(made.fd()))), UserError);
}
