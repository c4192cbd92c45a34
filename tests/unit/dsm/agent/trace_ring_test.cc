// SPDX-License-Identifier: Apache-2.0
#include "dsm/agent/trace_ring.h"

#include <thread>
#include <vector>

#include "tests/catch.h"

using namespace pando;
using namespace pando::dsm;

namespace {

Message message(uint32_t page) {
  Message m;
  m.type = MessageType::GetM;
  m.page = PageId(page);
  m.requester = NodeId(1);
  m.request = RequestId(page + 1);
  return m;
}

v1::TraceReply read(const TraceRing& ring, uint64_t since, uint32_t events_max = 0) {
  v1::TraceReply reply;
  ring.read(since, events_max, reply);
  return reply;
}

}  // namespace

TEST_CASE("trace ring: off: nothing is kept; on: events in order with what they were about") {
  TraceRing ring;
  ring.page_message(v1::TRACE_PAGE_SENT, NodeId(1), message(1));
  CHECK(read(ring, 0).events().empty());
  CHECK_FALSE(ring.on());
  ring.switch_on();
  ring.page_message(v1::TRACE_PAGE_SENT, NodeId(1), message(5));
  ring.page_span(v1::TRACE_REVOKED, PageId(6), 1234);
  const v1::TraceReply reply = read(ring, 0);
  REQUIRE(reply.events_size() == 2);
  CHECK(reply.on());
  CHECK(reply.events(0).page() == 5);
  CHECK(reply.events(0).request() == 6);
  CHECK(reply.events(0).requester() == 1);
  CHECK(reply.events(1).duration_ns() == 1234);
  CHECK(reply.events(0).monotonic_ns() <= reply.events(1).monotonic_ns());
  ring.switch_off();
  ring.page_span(v1::TRACE_REVOKED, PageId(6), 1);
  CHECK(read(ring, 0).events_size() == 2);
}

TEST_CASE("trace ring: overrun: the newest are kept and the lost are counted") {
  TraceRing ring;
  ring.switch_on();
  for (uint32_t i = 0; i < TraceRing::kSlots + 100; ++i) ring.page_message(v1::TRACE_PAGE_SENT, NodeId(1), message(i));
  const v1::TraceReply reply = read(ring, 0);
  CHECK(reply.lost() == 100);
  CHECK(reply.events_size() == static_cast<int>(TraceRing::kSlots));
  CHECK(reply.events(0).page() == 100);
  CHECK(reply.next_sequence() == TraceRing::kSlots + 100);
}

TEST_CASE("trace ring: read in pieces: each begins where the last one ended") {
  TraceRing ring;
  ring.switch_on();
  for (uint32_t i = 0; i < 10; ++i) ring.page_message(v1::TRACE_PAGE_SENT, NodeId(1), message(i));
  const v1::TraceReply first = read(ring, 0, 4);
  CHECK(first.events_size() == 4);
  const v1::TraceReply rest = read(ring, first.next_sequence());
  REQUIRE(rest.events_size() == 6);
  CHECK(rest.events(0).page() == 4);
  CHECK(read(ring, UINT64_MAX).next_sequence() == 10);
}

TEST_CASE("trace ring: writers at once while it is read: what is read is whole") {
  TraceRing ring;
  ring.switch_on();
  std::vector<std::thread> writers;
  for (uint8_t w = 0; w < 3; ++w)
    writers.emplace_back([&ring, w] {
      for (uint32_t i = 0; i < 100'000; ++i) {
        Message m = message(i);
        m.requester = NodeId(w);
        ring.page_message(v1::TRACE_PAGE_SENT, NodeId(w), m);
      }
    });
  uint64_t since = 0, seen = 0, lost = 0;
  bool whole = true;
  const auto take = [&] {
    const v1::TraceReply reply = read(ring, since);
    since = reply.next_sequence();
    seen += static_cast<uint64_t>(reply.events_size());
    lost += reply.lost();
    for (const v1::TraceEvent& e : reply.events()) whole &= e.peer() == e.requester() && e.request() == e.page() + 1;
  };
  while (since < 250'000) take();
  for (std::thread& t : writers) t.join();
  take();
  CHECK(whole);
  CHECK(seen + lost == 300'000);
}
