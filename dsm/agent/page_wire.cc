// SPDX-License-Identifier: Apache-2.0
#include "dsm/agent/page_wire.h"

#include <algorithm>

namespace pando::dsm {

namespace {

uint32_t count_of(const v1::PageMessage& w) { return std::max(w.count(), 1u); }

bool continues(const v1::PageMessage& w, const Message& m) {
  const uint32_t count = count_of(w);
  return count < kWireRunMax && w.page() + count == m.page.value() && w.request() + count == m.request.value() &&
         w.type() == static_cast<uint32_t>(m.type) && w.version() == m.version.value() &&
         w.requester() == m.requester.value() && w.acks() == m.acks && w.right() == static_cast<uint32_t>(m.right) &&
         w.content() == static_cast<uint32_t>(m.content) && w.clean() == m.clean && w.closed() == m.closed;
}

}  // namespace

void append_message(v1::PeerFrame& frame, const Message& m, const uint8_t* content, Joining joining) {
  if (joining == Joining::Allowed && frame.pages_size() != 0) {
    v1::PageMessage& last = *frame.mutable_pages(frame.pages_size() - 1);
    if (continues(last, m)) {
      last.set_count(count_of(last) + 1);
      if (content) last.mutable_data()->append(reinterpret_cast<const char*>(content), kPageSize);
      return;
    }
  }
  v1::PageMessage& w = *frame.add_pages();
  w.set_type(static_cast<uint32_t>(m.type));
  w.set_page(m.page.value());
  w.set_request(m.request.value());
  w.set_version(m.version.value());
  w.set_requester(m.requester.value());
  w.set_acks(m.acks);
  w.set_right(static_cast<uint32_t>(m.right));
  w.set_content(static_cast<uint32_t>(m.content));
  w.set_clean(m.clean);
  w.set_closed(m.closed);
  if (content) w.set_data(content, kPageSize);
}

std::optional<WireRun> read_message(const v1::PageMessage& wire, Epoch epoch) {
  WireRun run;
  run.count = count_of(wire);
  Message& m = run.first;
  m.type = static_cast<MessageType>(wire.type());
  m.requester = NodeId(static_cast<uint8_t>(std::min(wire.requester(), 255u)));
  m.acks = static_cast<uint8_t>(std::min(wire.acks(), 255u));
  m.right = static_cast<Right>(std::min(wire.right(), 255u));
  m.content = static_cast<Content>(std::min(wire.content(), 255u));
  m.clean = wire.clean();
  m.closed = wire.closed();
  m.page = PageId(wire.page());
  m.request = RequestId(wire.request());
  m.epoch = epoch;
  m.version = Version(wire.version());
  const bool has_bytes = m.content == Content::Bytes;
  const size_t bytes = has_bytes ? size_t{run.count} * kPageSize : 0;
  const bool sound = wire.type() >= 1 && wire.type() < kMessageTypes && wire.right() <= 2 && wire.content() <= 3 &&
                     run.count <= kWireRunMax && wire.page() <= UINT32_MAX - run.count && wire.data().size() == bytes;
  if (!sound) return std::nullopt;
  if (has_bytes) run.content = reinterpret_cast<const uint8_t*>(wire.data().data());
  return run;
}

}  // namespace pando::dsm
