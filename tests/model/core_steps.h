// SPDX-License-Identifier: Apache-2.0
// The coherence core as the model checker and the simulator call it, and wrong versions of it.
//
// CoreSteps passes everything on to dsm/core.  A mutant alters events, actions or state around the
// same core, so that nothing of it is in the core itself.  Every mutant breaks a rule that the
// oracles must notice.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "dsm/core/cache.h"
#include "dsm/core/home.h"

namespace pando::dsm {

class CoreSteps {
 public:
  virtual ~CoreSteps() = default;
  virtual StepResult home(const CoreConfig& config, DirectoryEntry& entry, HomeTransaction& txn,
                          NodeId from, const Message& message, HomeHint hint,
                          ActionList& out) const {
    return home_step(config, entry, txn, from, message, hint, out);
  }
  virtual StepResult cache(const CoreConfig& config, const CachePage& page, CacheEntry& entry,
                           CacheTransaction& txn, const CacheEvent& event, ActionList& out) const {
    return cache_step(config, page, entry, txn, event, out);
  }
};

struct MutantInfo {
  std::string_view name;
  std::string_view breaks;  // the rule, for humans
};

std::span<const MutantInfo> all_mutants();

// nullptr if there is no such mutant.  "" is the real core.
std::unique_ptr<CoreSteps> make_core(std::string_view mutant);

}  // namespace pando::dsm
