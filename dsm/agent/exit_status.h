// SPDX-License-Identifier: Apache-2.0
// Why a cluster ended.
#pragma once

#include <string>

#include "base/types.h"
#include "proto/control.pb.h"

namespace pando::dsm {

inline v1::ExitStatus exit_status(v1::ExitReason reason, uint32_t code, NodeId node, const std::string& message) {
  v1::ExitStatus s;
  s.set_reason(reason);
  s.set_code(code);
  s.set_node(node.value());
  s.set_message(message);
  return s;
}

}  // namespace pando::dsm
