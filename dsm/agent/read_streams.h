// SPDX-License-Identifier: Apache-2.0
// Notices threads that read page after page, and says which pages to ask for ahead of them: runs that double in length,
// always two of them ahead of the reader.  Pure: no clock, no I/O.  One owner.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace pando::dsm {

class ReadStreams {
 public:
  // Pages [first, first + count) in runs of `run`; the reader is to be told of (on_read) at the first page of each.
  struct Ahead {
    uint32_t first = 0, count = 0, run = 0;
  };

  // ahead_max: pages ahead of a reader, 0 = none.  run_max: of one run.
  ReadStreams(uint32_t ahead_max, uint32_t run_max);

  // A thread waits for this page to read it, or has come to the first page of a run.  count 0: nothing to ask for.
  Ahead on_read(uint32_t page);

 private:
  static constexpr uint32_t kSteps = 3;  // pages one after the other that make a stream
  static constexpr uint32_t kFirstRun = 4;
  struct Stream {
    uint32_t next = UINT32_MAX;  // where it goes on
    uint32_t ahead = 0;          // first page not asked for yet
    uint32_t steps = 0;
    uint32_t run = 0;            // length of the last one
  };
  Stream* find(uint32_t page);

  const uint32_t run_max_;
  std::array<Stream, 8> streams_;
  size_t turn_ = 0;
};

}  // namespace pando::dsm
