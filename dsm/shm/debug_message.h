// SPDX-License-Identifier: Apache-2.0
// What the debugger and a VMM say to each other (docs/design/0005-debugger.md).
//
// A message is a DebugHeader and up to kDebugDataMax bytes of data.  It travels from `pando gdb` to the agent by gRPC
// (proto/debug.proto has the same fields), from the agent to its VMM and back as fabric message FabricKind::Debug
// addressed to the own node.  Little-endian; both sides check everything.
//
//   operation        vcpu  address  bytes   data of the request     data of the reply
//   Stop             -     -        -       -                       DebugVcpu for each vCPU of the node, all parked
//   Resume           -     -        -       DebugAction...          -
//   Detach           -     -        -       -                       - ; breakpoints forgotten, all run
//   Vcpus            -     -        -       -                       DebugVcpu...
//   ReadRegisters    yes   -        -       -                       DebugRegisters, then the xsave image if in user code
//   WriteRegisters   yes   -        -       as the reply above      -
//   ReadPhysical     -     yes      wanted  -                       the bytes; inside one page
//   WritePhysical    -     yes      -       the bytes               - ; inside one page
//   SetBreakpoints   -     -        -       DebugBreakpoint...      - ; which int3 are the debugger's: all of them
//   ReadHeld         -     yes      wanted  -                       as ReadPhysical, by the agent from what the node
//                                                                   holds; -ENODATA: not here
//   Page             -     yes      -       -                       - ; text instead (gRPC only)
//   Node             -     -        -       -                       - ; text instead (gRPC only); status -ENOTCONN when
//                                                                   there is no VMM
//   Stopped          yes   rip      -       -                       event (sequence 0): the node has stopped; status is
//                                                                   the DebugStop
#pragma once

#include <cstddef>
#include <cstdint>

namespace pando::dsm {

enum class DebugOperation : uint16_t {
  Stop = 1,
  Resume,
  Detach,
  Vcpus,
  ReadRegisters,
  WriteRegisters,
  ReadPhysical,
  WritePhysical,
  SetBreakpoints,
  ReadHeld = 32,  // from here on: the agent answers
  Page,
  Node,
  Stopped = 64,  // event
};

enum class DebugStop : int32_t { Breakpoint = 1, Step = 2 };

struct DebugHeader {
  uint32_t sequence;  // of the request, repeated in its reply; 0: event
  uint16_t operation;
  uint16_t vcpu;
  int32_t status;  // reply: 0 or -errno
  uint32_t bytes;
  uint64_t address;
};
static_assert(sizeof(DebugHeader) == 24);

inline constexpr size_t kDebugDataMax = 12 * 1024;
inline constexpr size_t kDebugBreakpointsMax = 500;

// An int3 that the debugger has written, or is about to write.
struct DebugBreakpoint {
  uint64_t virtual_address;  // where RIP finds it
  uint64_t physical_address;
  uint64_t original;  // the byte that was there; put back when the debugger goes away
};
static_assert(sizeof(DebugBreakpoint) == 24);
inline constexpr uint8_t kBreakpointOpcode = 0xcc;

struct DebugAction {
  uint16_t vcpu;
  uint16_t step;  // 0: continue, 1: one instruction
};
static_assert(sizeof(DebugAction) == 4);

enum class DebugWhere : uint8_t { NotStarted, Running, Kernel, User };

struct DebugVcpu {
  uint16_t vcpu;
  DebugWhere where;
  uint8_t reserved[5];
  uint64_t current_task;   // as the guest says (vCPU block)
  uint64_t percpu_offset;
  uint64_t mm;  // User: the address space (mm_context_t.id)
};
static_assert(sizeof(DebugVcpu) == 32);

struct DebugRegisters {
  uint64_t general[16];  // rax rbx rcx rdx rsi rdi rbp rsp r8 .. r15
  uint64_t rip;
  uint64_t eflags;
  uint64_t cs, ss;
  uint64_t fs_base, gs_base;
};
static_assert(sizeof(DebugRegisters) == 176);

}  // namespace pando::dsm
