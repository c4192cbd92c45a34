// SPDX-License-Identifier: Apache-2.0
// Registers of a parked vCPU, to and from the layout of dsm/shm/debug_message.h.  Thread "debug".
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "dsm/shm/debug_message.h"

namespace pando::vmm {

struct Vcpu;

// In kernel code: EFLAGS.IF is the virtual one, gs_base is the per-CPU offset (the real ones are the VMM's own).
dsm::DebugRegisters debug_registers_of(const Vcpu& vcpu);
// Segments, IF and the per-CPU offset stay as they are.
void set_debug_registers(Vcpu& vcpu, const dsm::DebugRegisters& registers);

// The xsave image of user code, up to the end of AVX.
void append_fpu(const Vcpu& vcpu, std::vector<uint8_t>& out);
void set_fpu(Vcpu& vcpu, std::span<const uint8_t> image);

}  // namespace pando::vmm
