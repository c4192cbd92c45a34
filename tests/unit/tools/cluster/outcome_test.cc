// SPDX-License-Identifier: Apache-2.0
#include "tools/cluster/outcome.h"

#include "tests/catch.h"

using namespace pando;
using namespace pando::cluster;

namespace {

Outcome of(v1::ExitReason reason, uint32_t code) {
  v1::ExitStatus status;
  status.set_reason(reason);
  status.set_code(code);
  status.set_message("because");
  return outcome_of(status, "b");
}

}  // namespace

TEST_CASE("outcome: the guest's own end: its status, without words") {
  CHECK(of(v1::EXIT_POWER_OFF, 0).code == 0);
  CHECK(of(v1::EXIT_POWER_OFF, 42).code == 42);
  CHECK(of(v1::EXIT_POWER_OFF, 70000).code == 255);
  CHECK(of(v1::EXIT_POWER_OFF, 42).sentence.empty());
}

TEST_CASE("outcome: other ends: documented codes, the node is named") {
  CHECK(of(v1::EXIT_NODE_LOST, 0).code == kExitNodeLost);
  CHECK(of(v1::EXIT_VMM_DIED, 0).code == kExitNodeLost);
  CHECK(of(v1::EXIT_PANIC, 0).code == kExitPanic);
  CHECK(of(v1::EXIT_START_FAILED, 0).code == kExitNotUp);
  CHECK(of(v1::EXIT_SHUTDOWN, 0).code == kExitInterrupted);
  CHECK(of(v1::EXIT_NONE, 0).code == kExitInternal);
  CHECK(of(v1::EXIT_NODE_LOST, 0).sentence == "node b: because");
}
