// SPDX-License-Identifier: Apache-2.0
#include "tools/observe/page_walk.h"

namespace pando::observe {

namespace {

constexpr uint64_t kFrameMask = 0x000ffffffffff000;
constexpr uint64_t kPresent = 1;
constexpr uint64_t kNotAccessible = 0x100;  // present for the kernel: PROT_NONE, NUMA hinting
constexpr int kLevels = 4;
constexpr int kTopShift = 39, kBitsPerLevel = 9;

}  // namespace

std::optional<GuestPhys> walk_page_tables(GuestPhys top, GuestVirt address, const ReadWord& read) {
  if (address.value() >> (kTopShift + kBitsPerLevel) != 0) return std::nullopt;
  uint64_t table = top.value();
  for (int level = 0; level < kLevels; ++level) {
    const int shift = kTopShift - level * kBitsPerLevel;
    const uint64_t index = (address.value() >> shift) & ((1u << kBitsPerLevel) - 1);
    const auto entry = read(GuestPhys(table + index * sizeof(uint64_t)));
    const uint64_t wanted = level == kLevels - 1 ? kPresent | kNotAccessible : kPresent;
    if (!entry || !(*entry & wanted)) return std::nullopt;
    table = *entry & kFrameMask;
  }
  return GuestPhys(table + (address.value() & (kPageSize - 1)));
}

}  // namespace pando::observe
