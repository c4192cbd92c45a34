// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/scenario.h"

#include "tests/sim/random.h"

namespace pando::dsm::sim {

Scenario draw_scenario(uint64_t seed) {
  Random r(seed);
  Scenario s;
  s.nodes = static_cast<int>(r.between(2, r.one_in(4) ? kNodesSim : 4));
  s.pages = static_cast<int>(r.between(1, r.one_in(3) ? kPagesSim : 3));
  s.threads_per_node = static_cast<int>(r.between(1, kThreadsSim));
  s.instructions = static_cast<int>(r.between(4, 60));
  s.operands_max = r.one_in(3) ? static_cast<int>(r.between(2, kOperandsMax)) : 1;
  s.writes_percent = static_cast<int>(r.between(10, 90));
  s.shared_pages = r.one_in(3) ? static_cast<int>(r.between(1, s.pages)) : 0;
  s.core.exclusive_grants = !r.one_in(3);
  s.core.migratory = !r.one_in(3);
  s.core.serve_readers_together = !r.one_in(3);
  s.core.close_at_home = !r.one_in(3);
  s.core.epoch = Epoch(7);

  s.delay_max_ns = r.between(2'000, r.one_in(3) ? 1'000'000 : 60'000);
  s.wake_ns = r.between(1'000, 20'000);
  for (int& factor : s.slowness) factor = r.one_in(5) ? static_cast<int>(r.between(10, 100)) : 1;
  s.hold_ns = r.one_in(3) ? 0 : r.between(1'000, 400'000);
  if (s.operands_max > 1)
    s.hold_ns = 0;  // an instruction with several pages needs the policy to advance
  if (r.one_in(3)) s.foreign_max = static_cast<int>(r.between(kOperandsMax, kOperandsMax + 1));
  if (s.operands_max == 1 && r.one_in(4)) s.foreign_max = 1;
  if (r.one_in(10)) {
    s.crashing_node = static_cast<int>(r.between(0, s.nodes - 1));
    s.crash_ns = r.between(0, 2'000'000);
  }
  return s;
}

}  // namespace pando::dsm::sim
