// SPDX-License-Identifier: Apache-2.0
#include "vmm/debug/register_file.h"

#include <ucontext.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "vmm/machine.h"
#include "vmm/vcpu.h"

namespace pando::vmm {

namespace {

using dsm::DebugRegisters;
using dsm::DebugWhere;

constexpr int kOrder[16] = {REG_RAX, REG_RBX, REG_RCX, REG_RDX, REG_RSI, REG_RDI, REG_RBP, REG_RSP,
                            REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
constexpr uint64_t kInterruptFlag = 0x200, kTrapFlag = 0x100;
constexpr uint64_t kWritableFlags = 0xcd5;  // CF PF AF ZF SF DF OF

// The xsave image: legacy area without the bytes the host's kernel uses, and the upper halves of AVX.
constexpr size_t kLegacyBytes = 464, kAvxAt = 576, kAvxEnd = 832;

// Offsets of struct pt_regs in the order of DebugRegisters::general.
uint64_t stub::UserRegs::*const kUserOrder[16] = {
    &stub::UserRegs::ax, &stub::UserRegs::bx,  &stub::UserRegs::cx,  &stub::UserRegs::dx,
    &stub::UserRegs::si, &stub::UserRegs::di,  &stub::UserRegs::bp,  &stub::UserRegs::sp,
    &stub::UserRegs::r8, &stub::UserRegs::r9,  &stub::UserRegs::r10, &stub::UserRegs::r11,
    &stub::UserRegs::r12, &stub::UserRegs::r13, &stub::UserRegs::r14, &stub::UserRegs::r15};

stub::UserRegs* user_regs(const Vcpu& vcpu) { return reinterpret_cast<stub::UserRegs*>(vcpu.debug.user_regs); }

DebugRegisters kernel_registers(const Vcpu& vcpu) {
  const auto& g = vcpu.debug.context->uc_mcontext.gregs;
  DebugRegisters r{};
  for (size_t i = 0; i < std::size(kOrder); ++i) r.general[i] = static_cast<uint64_t>(g[kOrder[i]]);
  r.rip = static_cast<uint64_t>(g[REG_RIP]);
  r.eflags = (static_cast<uint64_t>(g[REG_EFL]) & ~(kInterruptFlag | kTrapFlag)) |
             (vcpu.block.irq_on ? kInterruptFlag : 0);
  r.cs = PANDO_CS;
  r.ss = PANDO_SS;
  r.gs_base = vcpu.block.percpu_offset;
  return r;
}

DebugRegisters user_registers(const Vcpu& vcpu) {
  const stub::UserRegs* u = user_regs(vcpu);
  DebugRegisters r{};
  for (size_t i = 0; i < std::size(kUserOrder); ++i) r.general[i] = u->*kUserOrder[i];
  r.rip = u->ip;
  r.eflags = u->flags & ~kTrapFlag;
  r.cs = u->cs;
  r.ss = u->ss;
  r.fs_base = vcpu.debug.fs_base;
  r.gs_base = vcpu.debug.gs_base;
  return r;
}

}  // namespace

DebugRegisters debug_registers_of(const Vcpu& vcpu) {
  return vcpu.debug.where == DebugWhere::User ? user_registers(vcpu) : kernel_registers(vcpu);
}

void set_debug_registers(Vcpu& vcpu, const DebugRegisters& r) {
  if (vcpu.debug.where == DebugWhere::User) {
    stub::UserRegs* u = user_regs(vcpu);
    for (size_t i = 0; i < std::size(kUserOrder); ++i) u->*kUserOrder[i] = r.general[i];
    u->ip = r.rip;
    u->flags = (u->flags & ~kWritableFlags) | (r.eflags & kWritableFlags);
    vcpu.debug.fs_base = r.fs_base;
    vcpu.debug.gs_base = r.gs_base;
    return;
  }
  auto& g = vcpu.debug.context->uc_mcontext.gregs;
  for (size_t i = 0; i < std::size(kOrder); ++i) g[kOrder[i]] = static_cast<greg_t>(r.general[i]);
  g[REG_RIP] = static_cast<greg_t>(r.rip);
  g[REG_EFL] = static_cast<greg_t>((static_cast<uint64_t>(g[REG_EFL]) & ~kWritableFlags) | (r.eflags & kWritableFlags));
}

void append_fpu(const Vcpu& vcpu, std::vector<uint8_t>& out) {
  const auto* image = reinterpret_cast<const uint8_t*>(vcpu.debug.user_fpu);
  out.insert(out.end(), image, image + std::min<size_t>(vcpu.machine->fpu_bytes(), kAvxEnd));
}

void set_fpu(Vcpu& vcpu, std::span<const uint8_t> bytes) {
  auto* image = reinterpret_cast<uint8_t*>(vcpu.debug.user_fpu);
  const size_t size = std::min<size_t>({bytes.size(), vcpu.machine->fpu_bytes(), kAvxEnd});
  std::memcpy(image, bytes.data(), std::min(size, kLegacyBytes));
  if (size > kAvxAt) std::memcpy(image + kAvxAt, bytes.data() + kAvxAt, size - kAvxAt);
}

}  // namespace pando::vmm
