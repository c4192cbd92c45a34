// SPDX-License-Identifier: Apache-2.0
#include "dsm/agent/page_wire.h"

#include <vector>

#include "tests/catch.h"

using namespace pando;
using namespace pando::dsm;

namespace {

constexpr Epoch kEpoch{1};

Message data(uint32_t page, uint32_t request) {
  Message m;
  m.type = MessageType::Data;
  m.requester = NodeId(1);
  m.right = Right::Read;
  m.content = Content::Bytes;
  m.page = PageId(page);
  m.request = RequestId(request);
  m.epoch = kEpoch;
  m.version = Version(2);
  return m;
}

std::vector<uint8_t> filled(uint8_t with) { return std::vector<uint8_t>(kPageSize, with); }

}  // namespace

TEST_CASE("page wire: messages alike about adjacent pages: travel as one and come out as they went in") {
  v1::PeerFrame frame;
  for (uint32_t i = 0; i < 5; ++i)
    append_message(frame, data(70 + i, 9 + i), filled(static_cast<uint8_t>(i)).data(), Joining::Allowed);
  REQUIRE(frame.pages_size() == 1);
  const auto run = read_message(frame.pages(0), kEpoch);
  REQUIRE(run);
  CHECK(run->count == 5);
  CHECK(run->first == data(70, 9));
  for (size_t i = 0; i < 5; ++i) CHECK(run->content[i * kPageSize + 17] == i);
}

TEST_CASE("page wire: what differs in anything, or must not wait: stays apart") {
  v1::PeerFrame frame;
  const auto bytes = filled(1);
  append_message(frame, data(70, 9), bytes.data(), Joining::Allowed);
  append_message(frame, data(71, 11), bytes.data(), Joining::Allowed);  // request
  append_message(frame, data(73, 12), bytes.data(), Joining::Allowed);  // page
  Message m = data(74, 13);
  m.version = Version(3);
  append_message(frame, m, bytes.data(), Joining::Allowed);
  m = data(75, 14);
  m.content = Content::Zero;
  append_message(frame, m, nullptr, Joining::Allowed);
  m.page = PageId(76);
  m.request = RequestId(15);
  append_message(frame, m, nullptr, Joining::Refused);
  CHECK(frame.pages_size() == 6);
  for (const v1::PageMessage& w : frame.pages()) CHECK(read_message(w, kEpoch)->count == 1);
}

TEST_CASE("page wire: a run has an end") {
  v1::PeerFrame frame;
  const auto bytes = filled(1);
  for (uint32_t i = 0; i < kWireRunMax + 1; ++i) append_message(frame, data(i, 1 + i), bytes.data(), Joining::Allowed);
  REQUIRE(frame.pages_size() == 2);
  CHECK(read_message(frame.pages(0), kEpoch)->count == kWireRunMax);
  CHECK(read_message(frame.pages(1), kEpoch)->count == 1);
}

TEST_CASE("page wire: malformed messages: are refused") {
  v1::PeerFrame frame;
  append_message(frame, data(70, 9), filled(1).data(), Joining::Allowed);
  const v1::PageMessage good = frame.pages(0);
  REQUIRE(read_message(good, kEpoch));
  const auto refused = [&](auto change) {
    v1::PageMessage w = good;
    change(w);
    return !read_message(w, kEpoch);
  };
  CHECK(refused([](v1::PageMessage& w) { w.set_type(0); }));
  CHECK(refused([](v1::PageMessage& w) { w.set_type(kMessageTypes); }));
  CHECK(refused([](v1::PageMessage& w) { w.set_count(2); }));
  CHECK(refused([](v1::PageMessage& w) { w.set_count(UINT32_MAX); }));
  CHECK(refused([](v1::PageMessage& w) {
    w.set_count(kWireRunMax + 1);
    w.mutable_data()->resize(size_t{kWireRunMax + 1} * kPageSize);
  }));
  CHECK(refused([](v1::PageMessage& w) { w.set_page(UINT32_MAX); }));
  CHECK(refused([](v1::PageMessage& w) { w.mutable_data()->pop_back(); }));
  CHECK(refused([](v1::PageMessage& w) { w.set_content(1 << 8); }));
  CHECK(refused([](v1::PageMessage& w) { w.set_right(3); }));
}
