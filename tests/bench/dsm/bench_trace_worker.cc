// SPDX-License-Identifier: Apache-2.0
// The measured side of bench-trace: nodes 0 and 1 pass one word to and fro until the time is over.
#include <chrono>
#include <thread>

#include "tests/coherence/worker.h"

int main(int argc, char** argv) {
  using Clock = std::chrono::steady_clock;
  pando::test::Worker w(argc, argv);
  w.start();
  auto& turn = w.atomic_at<uint64_t>(pando::kPageSize);
  const auto me = static_cast<uint64_t>(w.self());
  const auto end = Clock::now() + std::chrono::seconds(w.number("--seconds", 10));
  constexpr uint64_t kOver = uint64_t{1} << 63;
  for (;;) {
    uint64_t now = turn.load(std::memory_order_acquire);
    while (now % 2 != me && !(now & kOver)) {
      std::this_thread::yield();
      now = turn.load(std::memory_order_acquire);
    }
    if (now & kOver) break;
    turn.store(now + 1 + (me == 0 && Clock::now() > end ? kOver : 0), std::memory_order_release);
  }
  w.finish(0);
}
