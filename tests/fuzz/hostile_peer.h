// SPDX-License-Identifier: Apache-2.0
// Node 1 of a two-node cluster as an enemy: greets like a node, then sends frames that are wrong in many ways.
#pragma once

#include <cstdint>
#include <random>
#include <string>

#include "proto/node.pb.h"

namespace pando::test {

struct HostileResult {
  uint64_t frames = 0;
  bool greeted = false;
};

// Talks to node 0 at `address` until it closes the streams or `frames_max` were sent.
HostileResult attack(const std::string& address, const v1::Plan& plan, std::mt19937_64& random, uint64_t frames_max);

}  // namespace pando::test
