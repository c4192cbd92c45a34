// SPDX-License-Identifier: Apache-2.0
#include "dsm/agent/responsive.h"

#include <sched.h>

namespace pando::dsm {

bool make_thread_responsive() {
  static thread_local const bool done = [] {
    sched_param lowest{};
    lowest.sched_priority = 1;
    // Reset on fork, or a VMM started by such a thread would starve everything on its core.
    return sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &lowest) == 0;
  }();
  return done;
}

}  // namespace pando::dsm
