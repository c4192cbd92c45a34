// SPDX-License-Identifier: Apache-2.0
// The common end of `up` and `run`: outcome of the cluster, what is told, the exit code.
#pragma once

#include "tools/cluster/session.h"

namespace pando::cli {

// Ends the session for the reason that supervise() gave, waits for the output, tells the user what
// went wrong.
cluster::Outcome finish(cluster::Session& session, cluster::Attachment& attachment,
                        cluster::Session::Until why);

}  // namespace pando::cli
