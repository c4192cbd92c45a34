// SPDX-License-Identifier: Apache-2.0
// The registers of a virtual CPU in GDB's numbering, and the target description that tells GDB about them.
//
// Order and names are those of GDB's features org.gnu.gdb.i386.core, .sse, .segments and .avx for i386:x86-64.
// x87, SSE and AVX come from a xsave image in the standard (not compacted) format: Intel SDM volume 1, 13.4.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pando::gdb {

struct Registers {
  // rax rbx rcx rdx rsi rdi rbp rsp r8 .. r15 rip eflags cs ss ds es fs gs, as GDB numbers them.
  std::array<uint64_t, 24> general{};
  uint64_t fs_base = 0;
  uint64_t gs_base = 0;
  std::vector<uint8_t> xsave;  // empty: not known (a virtual CPU in kernel code)

  uint64_t rip() const { return general[16]; }
  uint64_t rsp() const { return general[7]; }
};

inline constexpr size_t kRbp = 6;
inline constexpr size_t kRip = 16;
inline constexpr size_t kEflags = 17;

// Number of registers of the description.
size_t register_count();
// One register as GDB wants it: hexadecimal, target byte order; "xx.." when not known; nullopt: no such number.
std::optional<std::string> register_hex(const Registers& registers, uint64_t number);
// Changes one register; false: no such number, wrong size or not known.
bool set_register(Registers& registers, uint64_t number, std::string_view bytes);

// All registers, packet `g`.
std::string all_registers_hex(const Registers& registers);
// Packet `G`: `bytes` is the whole file, unhexed; shorter is accepted as a prefix of whole registers.
bool set_all_registers(Registers& registers, std::string_view bytes);

// target.xml.
const std::string& target_description();

}  // namespace pando::gdb
