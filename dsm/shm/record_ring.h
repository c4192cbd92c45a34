// SPDX-License-Identifier: Apache-2.0
// Records of variable length from many producers to one consumer, through memory shared by two processes.
//
// Producers never take a lock: they reserve by compare-and-swap, copy, then publish the record by its header word
// (release; the consumer's acquire is its partner), so try_push() is async-signal-safe.  A producer that stops in
// between delays the records behind its own.  The consumer zeroes what it has read before it gives the space back,
// therefore an unpublished header always reads as zero.
// Everything read from the shared part is checked: a value that cannot be makes the ring Broken for good.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>

#include "dsm/shm/layout.h"

namespace pando::dsm {

class RecordRing {
 public:
  enum class Push { Done, Full, Broken };
  enum class Pop { Got, Empty, Broken };

  RecordRing() = default;
  // `index` and `data` stay owned by the mapping they lie in.
  RecordRing(SharedRingIndex* index, uint8_t* data, uint64_t data_bytes, Doorbell* consumer);

  // Appends one record made of two parts.  At most record_max() bytes in all.
  Push try_push(std::span<const uint8_t> head, std::span<const uint8_t> body);
  // As try_push, waits for space at most `limit`.
  Push push(std::span<const uint8_t> head, std::span<const uint8_t> body, std::chrono::nanoseconds limit);
  uint64_t record_max() const { return data_bytes_ / 4; }

  // Consumer.  Calls sink(std::span<const uint8_t>) with the next record; the span is shared memory that the producer
  // could still write: copy first, then check.
  template <class Sink>
  Pop try_pop(Sink&& sink) {
    std::span<const uint8_t> record;
    const Pop result = front(record);
    if (result == Pop::Got) {
      sink(record);
      drop_front();
    }
    return result;
  }
  // Consumer: nothing published at the front.
  bool empty() const;

 private:
  Pop front(std::span<const uint8_t>& record);
  void drop_front();
  void give_back(uint64_t bytes);

  SharedRingIndex* index_ = nullptr;
  uint8_t* data_ = nullptr;
  uint64_t data_bytes_ = 0;
  Doorbell* consumer_ = nullptr;
  uint64_t tail_ = 0;        // consumer's own copy of index_->consumed
  uint64_t front_bytes_ = 0; // of the record handed out by front()
  bool broken_ = false;
};

void ring_doorbell(Doorbell& doorbell);
// Sleeps until somebody rings, unless still_empty() says there is work; at most `limit`.
template <class StillEmpty>
void wait_doorbell(Doorbell& doorbell, StillEmpty&& still_empty, std::chrono::nanoseconds limit);
void sleep_on(Doorbell& doorbell, uint32_t seen, std::chrono::nanoseconds limit);

template <class StillEmpty>
void wait_doorbell(Doorbell& doorbell, StillEmpty&& still_empty, std::chrono::nanoseconds limit) {
  const uint32_t seen = doorbell.count.load(std::memory_order_seq_cst);
  doorbell.asleep.store(1, std::memory_order_seq_cst);
  if (still_empty()) sleep_on(doorbell, seen, limit);
  doorbell.asleep.store(0, std::memory_order_relaxed);
}

}  // namespace pando::dsm
