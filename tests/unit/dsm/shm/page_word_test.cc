// SPDX-License-Identifier: Apache-2.0
#include "dsm/shm/page_word.h"

#include <thread>
#include <vector>

#include "tests/catch.h"

using namespace pando::dsm;
using namespace std::chrono_literals;

TEST_CASE("page word: many threads under the lock: no step is lost") {
  PageWord word;
  word.initialise(0);
  uint64_t counter = 0;  // guarded by the word
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 5000; ++i) {
        const uint32_t bits = word.lock();
        ++counter;
        word.unlock(bits ^ PageWord::kPresent);
      }
    });
  for (std::thread& t : threads) t.join();
  CHECK(counter == 20000);
  CHECK(word.peek() == 0);
}

TEST_CASE("page word: a sleeper that waits for a change: it is woken by the unlock that makes it") {
  PageWord word;
  word.initialise(PageWord::kAskedRead);
  std::thread granter([&] {
    const uint32_t bits = word.lock();
    word.unlock(PageWord::with_right(bits & ~PageWord::kAskedRead, Right::Read));
  });
  while (PageWord::right_of(word.peek()) == Right::None) word.wait_change(PageWord::kAskedRead, 0ns, 10s);
  granter.join();
  CHECK(PageWord::right_of(word.peek()) == Right::Read);
}

TEST_CASE("page word: a lock that is never given back: it is taken by force after the limit") {
  PageWord word;
  word.initialise(PageWord::kPresent);
  (void)word.lock();
  bool forced = false;
  CHECK(word.lock_within(20ms, forced) == PageWord::kPresent);
  CHECK(forced);
}
