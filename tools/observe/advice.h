// SPDX-License-Identifier: Apache-2.0
// What to do about hot places, where the fault records say so clearly.  Pure rules; docs/observe.md explains them, the tests
// have recorded examples of each.
#pragma once

#include <string>
#include <vector>

#include "tools/observe/hot_places.h"
#include "tools/observe/naming.h"

namespace pando::observe {

enum class AdviceKind {
  ContendedLock,  // several nodes take the same lock
  FalseSharing,   // nodes write different words of one page
  SharedWord,     // several nodes write the same word, which is no lock
  WrongNode,      // memory homed on one node is used by another one alone
};
const char* name_of(AdviceKind kind);  // "contended-lock"

struct Advice {
  AdviceKind kind;
  size_t place;                       // index into the places; of several ranges the costliest
  std::vector<std::string> names;     // what it is about: the lock, the words, the ranges
  std::string sentence;
  uint64_t wait_ns;                   // that it costs, in the recording
};

struct AdviceLimits {
  uint64_t faults_min = 16;        // fewer say nothing
  double share_min = 0.1;          // of a page's faults, for a node or word to count
  double lock_share_min = 0.1;     // of a word's faults by lock instructions
  uint64_t wrong_node_pages_min = 16;
};

// Most expensive first.
std::vector<Advice> advise(const std::vector<Place>& places, const Naming& naming, const AdviceLimits& limits = {});

}  // namespace pando::observe
