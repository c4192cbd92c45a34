// SPDX-License-Identifier: Apache-2.0
#include "vmm/console.h"

#include <algorithm>
#include <vector>

namespace pando::vmm {

void Console::write(unsigned port, std::span<const uint8_t> text) {
  std::vector<uint8_t> payload;
  payload.reserve(text.size() + 1);
  payload.push_back(static_cast<uint8_t>(port));
  payload.insert(payload.end(), text.begin(), text.end());
  client_.send(client_.layout().self, dsm::FabricKind::ConsoleOut, payload);
}

size_t Console::read(unsigned port, std::span<uint8_t> to) {
  const std::lock_guard lock(mutex_);
  std::deque<uint8_t>& from = input_[port];
  const size_t bytes = std::min(to.size(), from.size());
  std::copy_n(from.begin(), bytes, to.begin());
  from.erase(from.begin(), from.begin() + static_cast<std::ptrdiff_t>(bytes));
  return bytes;
}

void Console::on_input(unsigned port, std::span<const uint8_t> text) {
  if (port >= input_.size()) return;
  const std::lock_guard lock(mutex_);
  std::deque<uint8_t>& to = input_[port];
  if (text.empty() && port == PANDO_PORT_STDIO) {
    to.insert(to.end(), {PANDO_STDIO_ESCAPE, PANDO_STDIO_END});
  }
  for (const uint8_t byte : text) {
    if (to.size() >= kInputBytesMax) {
      dropped_++;
      continue;
    }
    if (port == PANDO_PORT_STDIO && byte == PANDO_STDIO_ESCAPE) to.push_back(PANDO_STDIO_ESCAPE);
    to.push_back(byte);
  }
}

}  // namespace pando::vmm
