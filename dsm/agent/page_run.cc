// SPDX-License-Identifier: Apache-2.0
#include "dsm/agent/page_run.h"

#include <bit>
#include <cstring>

#include "base/error.h"

namespace pando::dsm {

namespace {

// Calls f(first, count) for each group of adjacent bits.
template <class F>
void each_group(uint64_t bits, F f) {
  while (bits != 0) {
    const auto first = static_cast<uint32_t>(std::countr_zero(bits));
    const auto count = static_cast<uint32_t>(std::countr_one(bits >> first));
    f(first, count);
    if (first + count == 64) return;
    bits &= ~uint64_t{0} << (first + count);
  }
}

constexpr uint32_t kMappings = PageWord::kMapped | PageWord::kWritable | PageWord::kElsewhere;

}  // namespace

PageRun::PageRun(GuestMemory& memory, const ControlMemory& control, LockWatcher& watcher)
    : memory_(memory), control_(control), watcher_(watcher), content_(size_t{kPagesMax} * kPageSize) {}

void PageRun::begin(PageId first, uint32_t count) {
  CHECK(count_ == 0 && count >= 1 && count <= kPagesMax);
  first_ = first.value();
  count_ = count;
}

void PageRun::end() {
  try {
    carry_out();
  } catch (...) {
    abandon();
    throw;
  }
  abandon();
}

void PageRun::abandon() {
  each_group(locked_, [&](uint32_t first, uint32_t count) {
    for (uint32_t i = first; i < first + count; ++i) control_.word(page_at(i)).unlock(bits_[i]);
  });
  locked_ = known_ = writes_ = discards_ = 0;
  count_ = 0;
}

uint32_t& PageRun::bits(PageId page) {
  const uint32_t i = index(page);
  if (!(locked_ & bit(i))) {
    bool forced = false;
    bits_[i] = control_.word(page).lock_within(watcher_.lock_limit(), forced);
    locked_ |= bit(i);
    if (forced) watcher_.on_lock_forced();
  }
  return bits_[i];
}

const uint8_t* PageRun::read(PageId page) {
  const uint32_t i = index(page);
  if (writes_ & bit(i)) return bytes_[i];
  if (!(known_ & bit(i))) memory_.read(page, 1, content(i));
  known_ |= bit(i);
  return content(i);
}

const uint8_t* PageRun::take(PageId page) {
  const uint32_t i = index(page);
  if ((writes_ | discards_) & bit(i)) carry_out();
  memory_.take(page, 1, content(i));
  known_ |= bit(i);
  return content(i);
}

void PageRun::write(PageId page, const uint8_t* bytes) {
  const uint32_t i = index(page);
  if (discards_ & bit(i)) carry_out();
  writes_ |= bit(i);
  bytes_[i] = bytes;
  known_ &= ~bit(i);
}

// What read() returned stays as it was: only the file loses the page.
void PageRun::discard(PageId page) {
  const uint32_t i = index(page);
  writes_ &= ~bit(i);
  discards_ |= bit(i);
}

void PageRun::freeze(uint64_t wanted) {
  carry_out();
  uint64_t writable = 0;
  each_group(wanted, [&](uint32_t first, uint32_t count) {
    for (uint32_t i = first; i < first + count; ++i)
      if (bits(page_at(i)) & PageWord::kWritable) writable |= bit(i);
  });
  each_group(writable, [&](uint32_t first, uint32_t count) {
    memory_.take(page_at(first), count, content(first));
    memory_.write(page_at(first), count, content(first));
    for (uint32_t i = first; i < first + count; ++i) bits_[i] &= ~kMappings;
  });
  each_group(wanted & ~writable,
             [&](uint32_t first, uint32_t count) { memory_.read(page_at(first), count, content(first)); });
  known_ |= wanted;
}

void PageRun::carry_out() {
  each_group(discards_, [&](uint32_t first, uint32_t count) { memory_.discard(page_at(first), count); });
  discards_ = 0;
  write_put_off();
}

// Bytes that lie one page behind the other go in one call.
void PageRun::write_put_off() {
  each_group(writes_, [&](uint32_t first, uint32_t count) {
    for (uint32_t i = first; i < first + count;) {
      uint32_t end = i + 1;
      while (end < first + count && bytes_[end] == bytes_[i] + size_t{end - i} * kPageSize) ++end;
      memory_.write(page_at(i), end - i, bytes_[i]);
      i = end;
    }
  });
  writes_ = 0;
}

}  // namespace pando::dsm
