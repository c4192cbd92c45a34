// SPDX-License-Identifier: Apache-2.0
#include "dsm/agent/read_streams.h"

#include <algorithm>
#include <deque>

#include "tests/catch.h"

using pando::dsm::ReadStreams;

TEST_CASE("read streams: three pages one after the other: runs are asked for and double, two ahead of the reader") {
  ReadStreams streams(128, 64);
  CHECK(streams.on_read(100).count == 0);
  CHECK(streams.on_read(101).count == 0);
  const auto begun = streams.on_read(102);
  CHECK(begun.first == 103);
  CHECK(begun.run == 4);
  CHECK(begun.count == 8);
  std::deque<uint32_t> first_of_run = {begun.first, begun.first + begun.run};
  uint32_t end = begun.first + begun.count, run = begun.run;
  for (int i = 0; i < 20; ++i) {
    const uint32_t at = first_of_run.front();
    first_of_run.pop_front();
    const auto more = streams.on_read(at);
    CHECK(more.run == std::min(2 * run, 64u));
    CHECK(more.first == end);
    run = more.run;
    for (uint32_t done = 0; done < more.count; done += run) first_of_run.push_back(more.first + done);
    end = more.first + more.count;
    CHECK(end >= at + 2 * run);
    CHECK(end < at + 3 * run);
  }
}

TEST_CASE("read streams: pages here and there: nothing is asked for") {
  ReadStreams streams(128, 64);
  for (uint32_t i = 0; i < 1000; ++i) CHECK(streams.on_read(i * 1009 % 2400 * 3).count == 0);
}

TEST_CASE("read streams: several readers at once: each has its own stream") {
  ReadStreams streams(16, 64);
  for (uint32_t step = 0; step < 2; ++step)
    for (uint32_t reader = 0; reader < 8; ++reader) CHECK(streams.on_read(reader * 10'000 + step).count == 0);
  for (uint32_t reader = 0; reader < 8; ++reader) CHECK(streams.on_read(reader * 10'000 + 2).first == reader * 10'000 + 3);
}

TEST_CASE("read streams: off, or at the end of all pages: nothing is asked for") {
  ReadStreams off(0, 64), on(128, 64);
  for (uint32_t i = 0; i < 10; ++i) {
    CHECK(off.on_read(i).count == 0);
    CHECK(on.on_read(UINT32_MAX - 10 + i).count == 0);
  }
}
