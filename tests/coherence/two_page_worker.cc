// SPDX-License-Identifier: Apache-2.0
// Forward progress: every node runs instructions that need two contested pages at once, in opposite order: locked adds
// that cross a page boundary, and string moves from one page to another.  All must get on.
// arguments: --rounds 100
#include <chrono>
#include <cstdio>

#include "tests/coherence/worker.h"

using pando::kPageSize;

namespace {

void locked_add_across(uint8_t* at) { asm volatile("lock addq $1, (%0)" ::"r"(at) : "memory"); }

void move_bytes(uint8_t* to, const uint8_t* from, size_t bytes) {
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes)::"memory");
}

}  // namespace

int main(int argc, char** argv) {
  pando::test::Worker w(argc, argv);
  w.start();
  // Two pages of different homes cannot be adjacent, except at the border of two ranges.
  uint8_t* border = w.range(w.nodes() - 1);
  uint8_t* first = w.range(0) + 16 * kPageSize;
  uint8_t* second = w.range(w.nodes() - 1) + 16 * kPageSize;
  const uint64_t rounds = w.number("--rounds", 100);
  w.barrier(0);
  int64_t worst_us = 0;
  for (uint64_t i = 0; i < rounds; ++i) {
    const auto begun = std::chrono::steady_clock::now();
    locked_add_across(border - 4);
    if (w.self() % 2 == 0)
      move_bytes(second, first, 8);
    else
      move_bytes(first, second, 8);
    const auto took = std::chrono::steady_clock::now() - begun;
    worst_us = std::max<int64_t>(worst_us, std::chrono::duration_cast<std::chrono::microseconds>(took).count());
  }
  std::fprintf(stderr, "two-page: node %d: %lu rounds, worst round %ld us\n", w.self(), rounds, worst_us);
  w.barrier(64);
  uint64_t sum = 0;
  __builtin_memcpy(&sum, border - 4, sizeof sum);
  w.finish(sum == rounds * static_cast<uint64_t>(w.nodes()) ? 0 : 1);
}
