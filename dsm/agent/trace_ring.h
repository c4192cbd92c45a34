// SPDX-License-Identifier: Apache-2.0
// Ring of what this agent sent, received and did to pages, for `pando trace`.  Off unless somebody reads it: a request
// switches it on for kLease, every further one prolongs that, so that a reader that dies leaves nothing behind.
//
// Writers are any threads and never wait; the oldest events are overwritten, and read() counts what was lost.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>

#include "base/types.h"
#include "dsm/core/message.h"
#include "proto/observe.pb.h"

namespace pando::dsm {

class TraceRing {
 public:
  static constexpr uint64_t kSlots = 1 << 16;  // power of two
  static constexpr std::chrono::seconds kLease{10};

  struct Event {
    v1::TraceKind kind = v1::TRACE_NONE;
    NodeId peer{};
    NodeId requester{};
    uint16_t type = 0;
    uint32_t page = 0;
    uint32_t request = 0;
    uint64_t detail = 0;
    uint64_t duration_ns = 0;
  };

  bool on() const { return slots_.load(std::memory_order_relaxed) != nullptr; }
  // What the fault path calls: one load when it is off.
  void page_message(v1::TraceKind kind, NodeId peer, const Message& m) {
    if (on()) [[unlikely]]
      add({kind, peer, m.requester, static_cast<uint16_t>(m.type), m.page.value(), m.request.value(), 0, 0});
  }
  void page_span(v1::TraceKind kind, PageId page, int64_t duration_ns) {
    if (on()) [[unlikely]]
      add({kind, {}, {}, 0, page.value(), 0, 0, static_cast<uint64_t>(duration_ns)});
  }
  void add(const Event& event);

  void switch_on();
  void switch_off();
  // The events from `since` on that are still there, at most `events_max` (0: all).
  void read(uint64_t since, uint32_t events_max, v1::TraceReply& reply) const;

 private:
  // Valid when both sequence words equal its number + 1 (written last / read around the copy), as in the fault records.
  struct Slot {
    std::atomic<uint64_t> sequence_begin;
    int64_t monotonic_ns;
    Event event;
    std::atomic<uint64_t> sequence_end;
  };
  static bool copy(const Slot& from, uint64_t number, v1::TraceEvent& to);

  std::atomic<Slot*> slots_{nullptr};  // off: nullptr
  std::atomic<int64_t> lease_end_ns_{0};
  std::atomic<uint64_t> next_{0};
  mutable std::mutex mutex_;           // storage_; leaf
  std::unique_ptr<Slot[]> storage_;    // made when first switched on, kept: writers may be late
};

}  // namespace pando::dsm
