// SPDX-License-Identifier: Apache-2.0
// Strong types for the address spaces and names that must not be mixed up.
//
// Header only, no I/O, usable by dsm/core.  A value converts to its integer only by .value(); arithmetic is
// limited to what means something for the type.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace pando {

inline constexpr uint64_t kPageShift = 12;
inline constexpr uint64_t kPageSize = uint64_t{1} << kPageShift;  // bytes
inline constexpr int kNodesMax = 16;                              // nodes of one cluster
inline constexpr int kVcpusMax = 64;                              // virtual CPUs of one guest

template <class Tag, class Integer>
class Strong {
 public:
  using Rep = Integer;
  constexpr Strong() = default;
  constexpr explicit Strong(Integer value) : value_(value) {}
  constexpr Integer value() const { return value_; }
  constexpr auto operator<=>(const Strong&) const = default;

 private:
  Integer value_{};
};

using GuestPhys = Strong<struct GuestPhysTag, uint64_t>;  // byte address in guest-physical space
using GuestVirt = Strong<struct GuestVirtTag, uint64_t>;  // byte address in a guest address space
using PageId = Strong<struct PageIdTag, uint32_t>;        // guest-physical page number
using NodeId = Strong<struct NodeIdTag, uint8_t>;         // 0 .. kNodesMax - 1
using VcpuId = Strong<struct VcpuIdTag, uint16_t>;        // 0 .. kVcpusMax - 1, cluster wide
using MmId = Strong<struct MmIdTag, uint64_t>;            // guest address space, cluster wide, never reused

constexpr PageId page_of(GuestPhys a) { return PageId(static_cast<uint32_t>(a.value() >> kPageShift)); }
constexpr GuestPhys address_of(PageId p) { return GuestPhys(uint64_t{p.value()} << kPageShift); }
constexpr uint64_t page_floor(uint64_t a) { return a & ~(kPageSize - 1); }
constexpr uint64_t page_ceil(uint64_t a) { return page_floor(a + kPageSize - 1); }

}  // namespace pando

template <class Tag, class Integer>
struct std::hash<pando::Strong<Tag, Integer>> {
  size_t operator()(const pando::Strong<Tag, Integer>& s) const noexcept {
    return std::hash<Integer>{}(s.value());
  }
};
