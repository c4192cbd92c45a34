// SPDX-License-Identifier: Apache-2.0
// What one simulated run looks like.  Everything is drawn from the seed, so a seed is a complete
// bug report.
#pragma once

#include <array>
#include <cstdint>

#include "dsm/core/types.h"

namespace pando::dsm::sim {

using Nanos = int64_t;

inline constexpr int kNodesSim = 6;
inline constexpr int kThreadsSim = 3;  // per node
inline constexpr int kPagesSim = 8;
inline constexpr int kWords = 2;        // per page
inline constexpr int kOperandsMax = 3;  // pages that one instruction touches

enum class ShareHolds : uint8_t { No, Yes };

struct Scenario {
  int nodes = 2;
  int pages = 1;  // page p is homed on node p % nodes
  int threads_per_node = 1;
  int instructions = 10;  // per thread
  int operands_max = 1;   // pages of one instruction: 1 .. this
  int writes_percent = 50;
  int shared_pages = 0;  // the first ones are pages of the kernel image
  CoreConfig core;       // switches

  Nanos delay_min_ns = 1'000;  // of the network, per message
  Nanos delay_max_ns = 50'000;
  Nanos step_ns = 500;                    // an agent handles one message in this time
  Nanos wake_ns = 5'000;                  // from Wake to the thread running again
  std::array<int, kNodesSim> slowness{};  // factor on step and wake time, 1 = normal

  Nanos hold_ns = 100'000;                   // base window; HoldPolicy is used when it is 0
  ShareHolds share_holds = ShareHolds::Yes;  // pages of one instruction are held together
  int foreign_max = kPagesSim;               // foreign pages a node keeps; beyond it evicts

  int crashing_node = -1;  // -1: none
  Nanos crash_ns = 0;
  Nanos silence_limit_ns = 3'000'000'000;

  Nanos time_limit_ns = 20'000'000'000;  // of virtual time: beyond it somebody waits for ever
  int64_t steps_max = 2'000'000;         // beyond it nobody gets anywhere
};

Scenario draw_scenario(uint64_t seed);

}  // namespace pando::dsm::sim
