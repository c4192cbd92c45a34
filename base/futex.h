// SPDX-License-Identifier: Apache-2.0
// Futexes on words in memory shared between processes (never FUTEX_PRIVATE).
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace pando {

enum class FutexWait { Woken, ValueChanged, TimedOut, Interrupted };

// Sleeps while `word` equals `expected`, at most `limit`.  Spurious wake-ups are reported as Woken.
FutexWait futex_wait(const std::atomic<uint32_t>& word, uint32_t expected, std::chrono::nanoseconds limit);
// Wakes at most `waiters` sleepers; async-signal-safe.
void futex_wake(const std::atomic<uint32_t>& word, int waiters);

}  // namespace pando
