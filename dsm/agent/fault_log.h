// SPDX-License-Identifier: Apache-2.0
// Reads the ring of fault records that the client writes (dsm/shm/layout.h).  Any thread.
#pragma once

#include "dsm/shm/control_memory.h"
#include "proto/control.pb.h"

namespace pando::dsm {

// Appends the records from `since` on that are still there, oldest first, at most `records_max` (0: all).
void read_faults(const ControlMemory& control, uint64_t since, uint32_t records_max, v1::FaultsReply& reply);

}  // namespace pando::dsm
