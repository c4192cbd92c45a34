// SPDX-License-Identifier: Apache-2.0
// What came from each peer since the start.  Any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "base/types.h"
#include "proto/control.pb.h"
#include "proto/peer.pb.h"

namespace pando::dsm {

class TrafficMeter {
 public:
  void count(NodeId from, const v1::PeerFrame& frame) {
    Counts& c = peers_[from.value() % kNodesMax];
    uint64_t pages = 0;
    for (const v1::PageMessage& m : frame.pages()) pages += m.data().size() >> kPageShift;
    const auto add = [](std::atomic<uint64_t>& n, uint64_t by) { n.fetch_add(by, std::memory_order_relaxed); };
    add(c.frames, 1);
    add(c.bytes, frame.ByteSizeLong());
    add(c.page_messages, static_cast<uint64_t>(frame.pages_size()));
    add(c.pages, pages);
    add(c.fabric, static_cast<uint64_t>(frame.fabric_size()));
  }
  void tell(NodeId from, v1::PeerStatus& out) const {
    const Counts& c = peers_[from.value() % kNodesMax];
    out.set_frames_in(c.frames);
    out.set_bytes_in(c.bytes);
    out.set_page_messages_in(c.page_messages);
    out.set_pages_in(c.pages);
    out.set_fabric_in(c.fabric);
  }

 private:
  struct alignas(64) Counts {
    std::atomic<uint64_t> frames{0}, bytes{0}, page_messages{0}, pages{0}, fabric{0};
  };
  std::array<Counts, kNodesMax> peers_;
};

}  // namespace pando::dsm
