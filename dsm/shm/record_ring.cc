// SPDX-License-Identifier: Apache-2.0
#include "dsm/shm/record_ring.h"

#include <cstring>

#include "base/error.h"
#include "base/futex.h"

namespace pando::dsm {

namespace {

// Header word of a record: bytes of payload << 2 | state.  0 = not published.
constexpr uint64_t kRecord = 1;
constexpr uint64_t kPadding = 2;
constexpr uint64_t kHeaderBytes = 8;

uint64_t padded(uint64_t bytes) { return kHeaderBytes + ((bytes + 7) & ~uint64_t{7}); }

std::atomic_ref<uint64_t> header_at(uint8_t* data) { return std::atomic_ref(*reinterpret_cast<uint64_t*>(data)); }

}  // namespace

RecordRing::RecordRing(SharedRingIndex* index, uint8_t* data, uint64_t data_bytes, Doorbell* consumer)
    : index_(index), data_(data), data_bytes_(data_bytes), consumer_(consumer) {
  CHECK(data_bytes >= 256 && (data_bytes & (data_bytes - 1)) == 0);
  tail_ = index->consumed.load(std::memory_order_relaxed);
}

RecordRing::Push RecordRing::try_push(std::span<const uint8_t> head, std::span<const uint8_t> body) {
  const uint64_t payload = head.size() + body.size();
  CHECK(payload <= record_max());
  const uint64_t need = padded(payload);
  uint64_t at = index_->reserved.load(std::memory_order_relaxed);
  uint64_t pad = 0;
  do {
    const uint64_t used = at - index_->consumed.load(std::memory_order_acquire);
    if (used > data_bytes_ || at % 8 != 0) return Push::Broken;
    const uint64_t to_end = data_bytes_ - (at & (data_bytes_ - 1));
    pad = to_end < need ? to_end : 0;
    if (used + pad + need > data_bytes_) return Push::Full;
  } while (!index_->reserved.compare_exchange_weak(at, at + pad + need, std::memory_order_relaxed));
  if (pad) header_at(data_ + (at & (data_bytes_ - 1))).store((pad - kHeaderBytes) << 2 | kPadding, std::memory_order_release);
  uint8_t* place = data_ + ((at + pad) & (data_bytes_ - 1));
  if (!head.empty()) std::memcpy(place + kHeaderBytes, head.data(), head.size());
  if (!body.empty()) std::memcpy(place + kHeaderBytes + head.size(), body.data(), body.size());
  header_at(place).store(payload << 2 | kRecord, std::memory_order_release);
  ring_doorbell(*consumer_);
  return Push::Done;
}

RecordRing::Push RecordRing::push(std::span<const uint8_t> head, std::span<const uint8_t> body,
                                  std::chrono::nanoseconds limit) {
  const Push at_once = try_push(head, body);  // without asking for a wake-up, which the consumer would pay for
  if (at_once != Push::Full) return at_once;
  const auto deadline = std::chrono::steady_clock::now() + limit;
  for (;;) {
    const uint32_t seen = index_->space_count.load(std::memory_order_seq_cst);
    index_->space_wanted.store(1, std::memory_order_seq_cst);
    const Push result = try_push(head, body);
    if (result != Push::Full) return result;
    const auto left = deadline - std::chrono::steady_clock::now();
    if (left <= std::chrono::nanoseconds(0)) return Push::Full;
    futex_wait(index_->space_count, seen, left);
  }
}

RecordRing::Pop RecordRing::front(std::span<const uint8_t>& record) {
  while (!broken_) {
    const uint64_t offset = tail_ & (data_bytes_ - 1);
    const uint64_t header = header_at(data_ + offset).load(std::memory_order_acquire);
    if (header == 0) return Pop::Empty;
    const uint64_t payload = header >> 2;
    if (payload > data_bytes_ - offset - kHeaderBytes) break;
    if ((header & 3) == kPadding) {
      give_back(padded(payload));
      continue;
    }
    if ((header & 3) != kRecord || payload > record_max()) break;
    front_bytes_ = padded(payload);
    record = {data_ + offset + kHeaderBytes, payload};
    return Pop::Got;
  }
  broken_ = true;
  return Pop::Broken;
}

bool RecordRing::empty() const {
  return header_at(data_ + (tail_ & (data_bytes_ - 1))).load(std::memory_order_seq_cst) == 0;
}

void RecordRing::drop_front() { give_back(front_bytes_); }

void RecordRing::give_back(uint64_t bytes) {
  std::memset(data_ + (tail_ & (data_bytes_ - 1)), 0, bytes);
  tail_ += bytes;
  index_->consumed.store(tail_, std::memory_order_seq_cst);
  if (index_->space_wanted.exchange(0, std::memory_order_seq_cst)) {
    index_->space_count.fetch_add(1, std::memory_order_seq_cst);
    futex_wake(index_->space_count, INT32_MAX);
  }
}

void ring_doorbell(Doorbell& doorbell) {
  doorbell.count.fetch_add(1, std::memory_order_seq_cst);
  if (doorbell.asleep.load(std::memory_order_seq_cst)) futex_wake(doorbell.count, 1);
}

void sleep_on(Doorbell& doorbell, uint32_t seen, std::chrono::nanoseconds limit) {
  futex_wait(doorbell.count, seen, limit);
}

}  // namespace pando::dsm
