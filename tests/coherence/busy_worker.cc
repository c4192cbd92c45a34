// SPDX-License-Identifier: Apache-2.0
// Traffic without end on pages homed everywhere, for tests that end the cluster from outside.
// arguments: --pages 32 (per node)
#include <unistd.h>

#include <thread>

#include "tests/coherence/worker.h"

int main(int argc, char** argv) {
  pando::test::Worker w(argc, argv);
  w.start();
  const uint64_t pages = w.number("--pages", 32);
  std::thread traffic([&] {
    for (uint64_t i = 0;; ++i) {
      const auto node = static_cast<int>(i % static_cast<uint64_t>(w.nodes()));
      reinterpret_cast<std::atomic<uint64_t>*>(w.range(node) + (i * 7 % pages) * pando::kPageSize)->fetch_add(1);
    }
  });
  for (;;) {
    const auto message = w.client().receive(1000);
    if (message && message->kind == pando::dsm::FabricKind::Shutdown) _exit(0);
  }
}
