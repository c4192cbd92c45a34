// SPDX-License-Identifier: Apache-2.0
// Reads what the guest announced of its address spaces and per-CPU areas (dsm/shm/layout.h).  Any thread.
#pragma once

#include "dsm/shm/control_memory.h"
#include "proto/observe.pb.h"

namespace pando::dsm {

void read_address_spaces(const ControlMemory& control, v1::AddressSpacesReply& reply);

}  // namespace pando::dsm
