// SPDX-License-Identifier: Apache-2.0
// The guest's console ports: output goes to the node's agent at once, input is buffered until the guest reads it.
#pragma once

#include <guest_abi/hypercall.h>

#include <array>
#include <cstdint>
#include <deque>
#include <mutex>
#include <span>

#include "dsm/client/node_client.h"

namespace pando::vmm {

class Console {
 public:
  explicit Console(dsm::NodeClient& client) : client_(client) {}

  // Any vCPU thread.  May block while the agent's ring is full.
  void write(unsigned port, std::span<const uint8_t> text);
  // Any vCPU thread.  Bytes taken, 0 when none wait.
  size_t read(unsigned port, std::span<uint8_t> to);
  // Fabric thread: input arrived; nothing means the end of it.  PANDO_PORT_STDIO is escaped as guest_abi/hypercall.h
  // says.  What does not fit into kInputBytesMax is dropped and counted.
  void on_input(unsigned port, std::span<const uint8_t> text);
  uint64_t dropped_bytes() const { return dropped_; }

  static constexpr size_t kInputBytesMax = 1 << 20;

 private:
  dsm::NodeClient& client_;
  std::mutex mutex_;
  std::array<std::deque<uint8_t>, PANDO_PORTS> input_;
  uint64_t dropped_ = 0;
};

}  // namespace pando::vmm
