// SPDX-License-Identifier: Apache-2.0
#include "dsm/shm/page_word.h"

#include <ctime>

#include "base/futex.h"

namespace pando::dsm {

namespace {

constexpr int kLockSpins = 200;
constexpr std::chrono::milliseconds kLockWait{100};  // lost wake-ups cannot happen; a bound costs nothing

int64_t monotonic_ns() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

}  // namespace

bool PageWord::try_lock(uint32_t& bits) {
  uint32_t seen = bits_.load(std::memory_order_relaxed);
  while (!(seen & kLocked)) {
    if (bits_.compare_exchange_weak(seen, seen | kLocked, std::memory_order_acquire, std::memory_order_relaxed)) {
      bits = seen & ~kWaiters;
      return true;
    }
  }
  return false;
}

uint32_t PageWord::lock() {
  bool forced = false;
  return lock_within(std::chrono::nanoseconds::max(), forced);
}

uint32_t PageWord::lock_within(std::chrono::nanoseconds limit, bool& forced) {
  uint32_t bits = 0;
  for (int i = 0; i < kLockSpins; ++i) {
    if (try_lock(bits)) return bits;
    __builtin_ia32_pause();
  }
  const int64_t begun = monotonic_ns();
  while (!try_lock(bits)) {
    if (monotonic_ns() - begun > limit.count()) {
      forced = true;
      return bits_.fetch_or(kLocked, std::memory_order_acquire) & ~(kLocked | kWaiters);
    }
    uint32_t seen = bits_.load(std::memory_order_relaxed);
    if (!(seen & kLocked)) continue;
    if (!(seen & kWaiters) && !bits_.compare_exchange_strong(seen, seen | kWaiters, std::memory_order_relaxed)) continue;
    futex_wait(bits_, seen | kWaiters, kLockWait);
  }
  return bits;
}

void PageWord::unlock(uint32_t bits) {
  const uint32_t before = bits_.exchange(bits & ~(kLocked | kWaiters), std::memory_order_release);
  if (before & kWaiters) futex_wake(bits_, INT32_MAX);
}

void PageWord::update_locked(uint32_t bits) {
  uint32_t seen = bits_.load(std::memory_order_relaxed);
  const uint32_t wanted = (bits & ~kWaiters) | kLocked;
  while (!bits_.compare_exchange_weak(seen, wanted | (seen & kWaiters), std::memory_order_relaxed)) {
  }
}

void PageWord::wait_change(uint32_t bits, std::chrono::nanoseconds spin, std::chrono::nanoseconds limit) {
  const uint32_t quiet = bits & ~(kLocked | kWaiters);
  const auto changed = [&] { return (bits_.load(std::memory_order_relaxed) & ~kWaiters) != quiet; };
  if (spin.count() > 0) {
    const int64_t until = monotonic_ns() + spin.count();
    while (monotonic_ns() < until) {
      for (int i = 0; i < 32; ++i) {
        if (changed()) return;
        __builtin_ia32_pause();
      }
    }
  }
  uint32_t seen = quiet;
  // Another sleeper's bit is as good as ours; anything else means that the word has changed.
  if (!bits_.compare_exchange_strong(seen, quiet | kWaiters, std::memory_order_relaxed) && seen != (quiet | kWaiters))
    return;
  futex_wait(bits_, quiet | kWaiters, limit);
}

}  // namespace pando::dsm
