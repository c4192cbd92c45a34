// SPDX-License-Identifier: Apache-2.0
// Steps of the core as short text, so that a transition is one line of a table.
#pragma once

#include <string>

#include "dsm/core/cache.h"
#include "dsm/core/home.h"

namespace pando::dsm::test {

// "Zap", "Data>2 move acks=1", "Raise write": one action.
inline std::string words(const Action& a) {
  std::string text = name_of(a.type);
  if (a.type == ActionType::Raise) text += a.right == Right::Write ? " write" : " read";
  if (a.type == ActionType::Parked) text += std::string(" ") + name_of(a.message.type);
  if (a.type != ActionType::Send) return text;
  text = std::string(name_of(a.message.type)) + ">" + std::to_string(a.to.value());
  if (a.message.type == MessageType::Data) text += a.message.right == Right::Write ? " M" : " S";
  constexpr const char* kPayload[] = {"", " copy", " move", " kept"};
  text += kPayload[static_cast<int>(a.payload)];
  if (a.message.content == Content::InPlace) text += " in-place";
  if (a.message.closed) text += " closed";
  if (a.message.acks != 0) text += " acks=" + std::to_string(a.message.acks);
  return text;
}

inline std::string words(const ActionList& list) {
  std::string text;
  for (const Action& a : list) text += (text.empty() ? "" : ", ") + words(a);
  return text;
}

}  // namespace pando::dsm::test
