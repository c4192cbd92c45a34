// SPDX-License-Identifier: Apache-2.0
#include "base/host_identity.h"

#include <unistd.h>

#include <array>
#include <fstream>

namespace pando {

std::string host_identity() {
  std::string boot;
  if (!std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), boot)) return {};
  std::array<char, 64> time{};
  const ssize_t bytes = readlink("/proc/self/ns/time", time.data(), time.size());
  return boot + " " + std::string(time.data(), bytes > 0 ? static_cast<size_t>(bytes) : 0);
}

}  // namespace pando
