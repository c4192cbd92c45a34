// SPDX-License-Identifier: Apache-2.0
// Comparisons in virtual time.
#pragma once

#include <string>

namespace pando::dsm::sim {

// "hold": windows for instructions that need two contested pages.  Exit code.
int run_bench(const std::string& name);

}  // namespace pando::dsm::sim
