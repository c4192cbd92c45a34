// SPDX-License-Identifier: Apache-2.0
// Breadth-first search over all states of a World, with a check of every state and of termination.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tests/model/world.h"

namespace pando::dsm::model {

struct SearchResult {
  enum class Verdict { Holds, Violated, LimitReached };
  Verdict verdict = Verdict::Holds;
  std::string violation;  // with the steps that lead to it
  std::vector<std::string> trace;
  size_t states = 0;
  size_t transitions = 0;
  Coverage coverage;
};

// Visits at most states_max states.  Holds means, for the given bounds: every rule of
// World::check() in every state, no message that the core calls impossible, and, since deliveries
// and hold windows alone never come back to a state they left and only stop where nothing is open,
// that every request completes whatever the order of delivery.
SearchResult search(const Options& options, const CoreSteps& core, size_t states_max);

}  // namespace pando::dsm::model
