// SPDX-License-Identifier: Apache-2.0
#include "tools/cluster/outcome.h"

#include <algorithm>

namespace pando::cluster {

Outcome outcome_of(const v1::ExitStatus& status, const std::string& node_name) {
  const std::string sentence = "node " + node_name + ": " + status.message();
  switch (status.reason()) {
    case v1::EXIT_POWER_OFF:
      return {static_cast<int>(std::min<uint32_t>(status.code(), 255)), ""};
    case v1::EXIT_REBOOT:
      return {kExitFine, "the guest asked for a reboot", true};
    case v1::EXIT_HALT:
      return {kExitFine, "the guest halted"};
    case v1::EXIT_PANIC:
      return {kExitPanic, sentence};
    case v1::EXIT_NODE_LOST:
    case v1::EXIT_VMM_DIED:
      return {kExitNodeLost, sentence};
    case v1::EXIT_SHUTDOWN:
      return {kExitInterrupted, sentence};
    case v1::EXIT_START_FAILED:
      return {kExitNotUp, sentence};
    default:
      return {kExitInternal, sentence};
  }
}

}  // namespace pando::cluster
