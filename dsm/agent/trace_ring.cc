// SPDX-License-Identifier: Apache-2.0
#include "dsm/agent/trace_ring.h"

#include <algorithm>

#include "dsm/rpc/peer_link.h"

namespace pando::dsm {

void TraceRing::add(const Event& event) {
  const int64_t now = monotonic_now_ns();
  if (now > lease_end_ns_.load(std::memory_order_relaxed)) return switch_off();
  Slot* slots = slots_.load(std::memory_order_acquire);  // partner: switch_on()
  if (!slots) return;
  const uint64_t number = next_.fetch_add(1, std::memory_order_relaxed);
  Slot& slot = slots[number & (kSlots - 1)];
  slot.sequence_begin.store(number + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);  // partner: copy()
  slot.monotonic_ns = now;
  slot.event = event;
  slot.sequence_end.store(number + 1, std::memory_order_release);
}

void TraceRing::switch_on() {
  const std::lock_guard guard(mutex_);
  if (!storage_) storage_ = std::make_unique<Slot[]>(kSlots);
  lease_end_ns_.store(monotonic_now_ns() + std::chrono::nanoseconds(kLease).count(), std::memory_order_relaxed);
  slots_.store(storage_.get(), std::memory_order_release);  // partner: add()
}

void TraceRing::switch_off() { slots_.store(nullptr, std::memory_order_relaxed); }

// False: overwritten while it was read, or never finished.
bool TraceRing::copy(const Slot& from, uint64_t number, v1::TraceEvent& to) {
  if (from.sequence_end.load(std::memory_order_acquire) != number + 1) return false;
  const Event event = from.event;
  to.set_sequence(number);
  to.set_monotonic_ns(from.monotonic_ns);
  to.set_kind(event.kind);
  to.set_peer(event.peer.value());
  to.set_type(event.type);
  to.set_page(event.page);
  to.set_request(event.request);
  to.set_requester(event.requester.value());
  to.set_detail(event.detail);
  to.set_duration_ns(event.duration_ns);
  std::atomic_thread_fence(std::memory_order_acquire);  // partner: add()
  return from.sequence_begin.load(std::memory_order_relaxed) == number + 1;
}

void TraceRing::read(uint64_t since, uint32_t events_max, v1::TraceReply& reply) const {
  const std::lock_guard guard(mutex_);
  const uint64_t end = next_.load(std::memory_order_acquire);
  reply.set_on(on());
  reply.set_next_sequence(end);
  if (!storage_) return;
  const uint64_t oldest = end > kSlots ? end - kSlots : 0;
  uint64_t at = std::clamp(since, oldest, std::max(oldest, end));
  uint64_t lost = since < at ? at - since : 0;
  const uint64_t stop = events_max == 0 ? end : std::min(end, at + events_max);
  for (; at < stop; ++at) {
    if (copy(storage_[at & (kSlots - 1)], at, *reply.add_events())) continue;
    reply.mutable_events()->RemoveLast();
    ++lost;
  }
  reply.set_lost(lost);
  reply.set_next_sequence(stop);
}

}  // namespace pando::dsm
