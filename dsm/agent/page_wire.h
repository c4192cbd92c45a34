// SPDX-License-Identifier: Apache-2.0
// Messages of the core as they travel: several that are alike, about adjacent pages, become one PageMessage.
#pragma once

#include <cstdint>
#include <optional>

#include "dsm/core/message.h"
#include "proto/peer.pb.h"

namespace pando::dsm {

inline constexpr uint32_t kWireRunMax = 64;

enum class Joining : uint8_t { Allowed, Refused };

// Puts the message at the end of the frame, together with the one before it where that says the same about the page
// before.  content: one page if m.content is Bytes, else nullptr.
void append_message(v1::PeerFrame& frame, const Message& m, const uint8_t* content, Joining joining);

struct WireRun {
  Message first;  // the i-th is about page first.page + i, request first.request + i
  uint32_t count = 0;
  const uint8_t* content = nullptr;  // count pages, if first.content is Bytes
};
// nullopt: malformed.  Values the core looks at itself are passed on as they are.
std::optional<WireRun> read_message(const v1::PageMessage& wire, Epoch epoch);

}  // namespace pando::dsm
