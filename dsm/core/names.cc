// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>

#include "dsm/core/action.h"
#include "dsm/core/cache.h"

namespace pando::dsm {

const char* name_of(MessageType type) {
  switch (type) {
    case MessageType::GetS:
      return "GetS";
    case MessageType::GetM:
      return "GetM";
    case MessageType::Put:
      return "Put";
    case MessageType::Done:
      return "Done";
    case MessageType::FwdS:
      return "FwdS";
    case MessageType::FwdM:
      return "FwdM";
    case MessageType::Inv:
      return "Inv";
    case MessageType::Grant:
      return "Grant";
    case MessageType::PutAck:
      return "PutAck";
    case MessageType::Data:
      return "Data";
    case MessageType::InvAck:
      return "InvAck";
  }
  return "?";
}

const char* name_of(ActionType type) {
  switch (type) {
    case ActionType::Send:
      return "Send";
    case ActionType::Fill:
      return "Fill";
    case ActionType::Raise:
      return "Raise";
    case ActionType::Downgrade:
      return "Downgrade";
    case ActionType::Zap:
      return "Zap";
    case ActionType::Keep:
      return "Keep";
    case ActionType::DropKept:
      return "DropKept";
    case ActionType::StoreMemory:
      return "StoreMemory";
    case ActionType::StartHold:
      return "StartHold";
    case ActionType::Parked:
      return "Parked";
    case ActionType::Wake:
      return "Wake";
  }
  return "?";
}

const char* name_of(CacheState state) {
  switch (state) {
    case CacheState::I:
      return "I";
    case CacheState::S:
      return "S";
    case CacheState::O:
      return "O";
    case CacheState::M:
      return "M";
    case CacheState::IS_D:
      return "IS_D";
    case CacheState::IM_AD:
      return "IM_AD";
    case CacheState::SM_A:
      return "SM_A";
    case CacheState::OM_A:
      return "OM_A";
    case CacheState::MI_A:
      return "MI_A";
    case CacheState::OI_A:
      return "OI_A";
    case CacheState::II_A:
      return "II_A";
  }
  return "?";
}

void ActionList::push(const Action& a) {
  if (size_ == kCapacity) std::abort();
  items_[size_++] = a;
}

}  // namespace pando::dsm
