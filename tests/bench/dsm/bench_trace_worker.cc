// SPDX-License-Identifier: Apache-2.0
// The measured side of bench-trace: node 0 reads pages that are homed on node 1, node 1 writes them again, and so on until
// the time is over.  Every access is a remote fault; none waits for the end of a hold, which would hide what tracing costs.
#include <chrono>
#include <thread>

#include "tests/coherence/worker.h"

namespace {

constexpr size_t kPages = 2048, kStride = 1021;  // odd: all pages once, in an order that nothing fetches ahead
constexpr uint64_t kOver = uint64_t{1} << 63;

}  // namespace

int main(int argc, char** argv) {
  using Clock = std::chrono::steady_clock;
  pando::test::Worker w(argc, argv);
  w.set_fault_around(false);
  w.start();
  auto& turn = w.atomic_at<uint64_t>(pando::kPageSize);
  const uint64_t first = w.bytes() / 2 + (uint64_t{1} << 20);
  const auto me = static_cast<uint64_t>(w.self());
  const auto end = Clock::now() + std::chrono::seconds(w.number("--seconds", 10));
  for (;;) {
    uint64_t now = turn.load(std::memory_order_acquire);
    while (now % 2 != me && !(now & kOver)) {
      std::this_thread::sleep_for(std::chrono::microseconds(50));  // a poller that spins would take the other one's CPU
      now = turn.load(std::memory_order_acquire);
    }
    if (now & kOver) break;
    for (size_t i = 0; i < kPages; ++i) {
      auto& word = w.atomic_at<uint64_t>(first + i * kStride % kPages * pando::kPageSize);
      if (me == 0)
        (void)word.load(std::memory_order_acquire);
      else
        word.store(now, std::memory_order_release);
    }
    turn.store(now + 1 + (me == 0 && Clock::now() > end ? kOver : 0), std::memory_order_release);
  }
  w.finish(0);
}
