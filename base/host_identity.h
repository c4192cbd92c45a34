// SPDX-License-Identifier: Apache-2.0
// Which machine, since which start of it, and which clocks: equal for two processes exactly when they read the same
// CLOCK_MONOTONIC and share processors.
#pragma once

#include <string>

namespace pando {

// Boot id and time namespace; empty when the host does not tell.
std::string host_identity();

}  // namespace pando
