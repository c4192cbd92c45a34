// SPDX-License-Identifier: Apache-2.0
#include "dsm/agent/read_streams.h"

#include <algorithm>

namespace pando::dsm {

ReadStreams::ReadStreams(uint32_t ahead_max, uint32_t run_max)
    : run_max_(ahead_max == 0 ? 0 : std::clamp(ahead_max / 2, 1u, run_max)) {}

ReadStreams::Stream* ReadStreams::find(uint32_t page) {
  for (Stream& s : streams_)
    if (page >= s.next && page <= s.ahead) return &s;
  return nullptr;
}

ReadStreams::Ahead ReadStreams::on_read(uint32_t page) {
  if (run_max_ == 0 || page > UINT32_MAX - 4 * run_max_) return {};
  Stream* const s = find(page);
  if (!s) {
    streams_[turn_++ % streams_.size()] = {page + 1, page + 1, 1, 0};
    return {};
  }
  s->next = page + 1;
  s->ahead = std::max(s->ahead, page + 1);
  if (++s->steps < kSteps) return {};
  s->run = s->run == 0 ? std::min(kFirstRun, run_max_) : std::min(2 * s->run, run_max_);
  // The run that the reader comes to now counts as one of the two.
  uint32_t count = 0;
  while (s->ahead + count < page + 2 * s->run) count += s->run;
  const Ahead ahead{s->ahead, count, s->run};
  s->ahead += count;
  return ahead;
}

}  // namespace pando::dsm
