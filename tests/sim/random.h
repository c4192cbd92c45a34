// SPDX-License-Identifier: Apache-2.0
// The only source of randomness of a simulation: one 64-bit seed, the same sequence on every
// machine (splitmix64).
#pragma once

#include <cstdint>

namespace pando::dsm::sim {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // low .. high, both included.
  int64_t between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(next() % static_cast<uint64_t>(high - low + 1));
  }
  bool one_in(int64_t n) { return between(1, n) == 1; }

 private:
  uint64_t state_;
};

}  // namespace pando::dsm::sim
