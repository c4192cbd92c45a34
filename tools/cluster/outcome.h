// SPDX-License-Identifier: Apache-2.0
// How a cluster ended, as an exit code of pando and one sentence.  The codes are documented in
// README.md.
#pragma once

#include <string>

#include "proto/control.pb.h"

namespace pando::cluster {

enum ExitCode : int {
  kExitFine = 0,
  kExitUserMistake = 2,
  kExitNodeLost = 120,     // a node, its agent or its VMM ended or fell silent
  kExitNotUp = 121,        // the cluster did not come up, in time or at all
  kExitPanic = 122,        // the guest kernel panicked
  kExitInternal = 123,     // a failure of the host or of Pando itself
  kExitTimeLimit = 124,    // --timeout, as timeout(1)
  kExitInterrupted = 130,  // ended by the operator
};

struct Outcome {
  int code = kExitInternal;
  std::string sentence;  // empty: nothing to say
  bool reboot = false;   // the guest wants to be started again
};

Outcome outcome_of(const v1::ExitStatus& status, const std::string& node_name);

}  // namespace pando::cluster
