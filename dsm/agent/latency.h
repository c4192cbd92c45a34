// SPDX-License-Identifier: Apache-2.0
// Latency histogram: 8 buckets per power of two, lock-free, any thread.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>

namespace pando::dsm {

class LatencyHistogram {
 public:
  void add(uint64_t ns) {
    buckets_[index_of(ns)].fetch_add(1, std::memory_order_relaxed);
    sum_.fetch_add(ns, std::memory_order_relaxed);
    uint64_t seen = max_.load(std::memory_order_relaxed);
    while (ns > seen && !max_.compare_exchange_weak(seen, ns, std::memory_order_relaxed)) {
    }
  }
  uint64_t count() const {
    uint64_t n = 0;
    for (const auto& b : buckets_) n += b.load(std::memory_order_relaxed);
    return n;
  }
  // Upper end of the bucket that holds this share (0 .. 1) of the values; 0 when there are none.
  uint64_t quantile(double share) const {
    const auto rank = static_cast<uint64_t>(share * static_cast<double>(count()));
    uint64_t seen = 0;
    for (size_t i = 0; i < buckets_.size(); ++i) {
      seen += buckets_[i].load(std::memory_order_relaxed);
      if (seen > rank) return upper_end(i);
    }
    return max();
  }
  // Calls f(largest value, count) for each bucket that has counted, ascending.
  template <class F>
  void for_each_bucket(F&& f) const {
    for (size_t i = 0; i < buckets_.size(); ++i)
      if (const uint64_t n = buckets_[i].load(std::memory_order_relaxed)) f(upper_end(i), n);
  }
  uint64_t max() const { return max_.load(std::memory_order_relaxed); }
  uint64_t sum() const { return sum_.load(std::memory_order_relaxed); }

 private:
  static constexpr unsigned kSub = 3;  // 2^3 buckets per power of two: 12.5 % wide
  static constexpr size_t kBuckets = (64 - kSub + 1) << kSub;
  static size_t index_of(uint64_t ns) {
    if (ns < 1u << kSub) return ns;
    const unsigned shift = static_cast<unsigned>(std::bit_width(ns)) - 1 - kSub;
    return ((shift + 1) << kSub) + ((ns >> shift) & ((1u << kSub) - 1));
  }
  static uint64_t upper_end(size_t index) {
    if (index < 1u << kSub) return index;
    const unsigned shift = static_cast<unsigned>(index >> kSub) - 1;
    return (((index & ((1u << kSub) - 1)) + (1u << kSub) + 1) << shift) - 1;
  }
  std::array<std::atomic<uint64_t>, kBuckets> buckets_{};
  std::atomic<uint64_t> sum_{0}, max_{0};
};

}  // namespace pando::dsm
