// SPDX-License-Identifier: Apache-2.0
// One node: every page reads as zero at first, keeps what is written, and costs no request to anybody.
#include <cstdio>
#include <thread>

#include "tests/coherence/worker.h"

int main(int argc, char** argv) {
  pando::test::Worker w(argc, argv);
  w.start();
  const uint64_t pages = w.bytes() / pando::kPageSize;
  const auto word = [&](uint64_t page) -> std::atomic<uint64_t>& { return w.atomic_at<uint64_t>(page * pando::kPageSize); };
  uint64_t wrong = 0;
  const auto touch = [&](uint64_t first) {
    for (uint64_t p = first; p < pages; p += 2) {
      if (word(p).load() != 0) ++wrong;
      word(p).store(p + 1);
    }
  };
  std::thread even(touch, 0), odd(touch, 1);
  even.join();
  odd.join();
  for (uint64_t p = 0; p < pages; ++p)
    if (word(p).load() != p + 1) ++wrong;
  const auto stats = w.client().stats();
  std::fprintf(stderr, "solo: pages=%lu wrong=%lu faults=%lu remote=%lu\n", pages, wrong, stats.faults_local,
               stats.faults_remote_read + stats.faults_remote_write);
  w.finish(wrong == 0 && stats.faults_remote_read + stats.faults_remote_write == 0 ? 7 : 1);
}
