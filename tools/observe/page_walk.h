// SPDX-License-Identifier: Apache-2.0
// Guest page tables, walked from outside: x86-64's layout, four levels, 4 KiB pages (guest_abi/debug.h).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "base/types.h"

namespace pando::observe {

// Reads 8 bytes of guest-physical memory; nullopt where there is none.
using ReadWord = std::function<std::optional<uint64_t>(GuestPhys)>;

// Where the page tables at `top` (guest-physical) map `address`; nullopt: nowhere.
std::optional<GuestPhys> walk_page_tables(GuestPhys top, GuestVirt address, const ReadWord& read);

}  // namespace pando::observe
