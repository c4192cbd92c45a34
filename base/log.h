// SPDX-License-Identifier: Apache-2.0
// Structured log lines on standard error: `event key=value ...`, one per call, through spdlog.
// Not async-signal-safe.  What a guest or a peer can cause goes through LogLimiter.
#pragma once

#include <spdlog/spdlog.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

namespace pando {

// Sets the pattern and the level ("debug", "info", "warn", "error"); `who` names the program and node.
void log_init(const std::string& who, const std::string& level);

// Lets at most `per_second` lines through in each second; counts the rest.
class LogLimiter {
 public:
  explicit LogLimiter(uint32_t per_second) : per_second_(per_second) {}
  bool allow() {
    const int64_t second = std::chrono::duration_cast<std::chrono::seconds>(
                               std::chrono::steady_clock::now().time_since_epoch())
                               .count();
    if (second_.exchange(second, std::memory_order_relaxed) != second) used_ = 0;
    if (used_.fetch_add(1, std::memory_order_relaxed) < per_second_) return true;
    suppressed_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  uint64_t suppressed() const { return suppressed_; }

 private:
  const uint32_t per_second_;
  std::atomic<int64_t> second_{0};
  std::atomic<uint32_t> used_{0};
  std::atomic<uint64_t> suppressed_{0};
};

}  // namespace pando
