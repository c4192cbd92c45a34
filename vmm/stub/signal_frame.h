// SPDX-License-Identifier: Apache-2.0
// The signal frame of a stopped stub: where its registers and FPU state lie.
//
// The frame is in the stub's own memory, where user code may have written anything.  So it is read once into locals,
// checked, and before the stub runs again every field that the host kernel looks at is written anew: from the guest's
// registers, or from the frame of the stub's first trap, which was made before any user code ran.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "vmm/stub/address_spaces.h"

namespace pando::stub {

// The FPU image of a signal frame (struct _fpstate and what follows) on this host.
class FpuLayout {
 public:
  FpuLayout() = default;
  // From the image of a first trap.
  explicit FpuLayout(const uint8_t* image);

  uint32_t bytes() const { return bytes_; }  // with the end marker
  uint64_t components() const { return components_; }
  // Copies what is in use and makes the header one that the host's sigreturn accepts.
  void to_stub(uint8_t* frame, const uint8_t* guest) const;
  void to_guest(uint8_t* guest, const uint8_t* frame) const;
  // An image with all components in their initial state.
  void reset(uint8_t* frame) const;

 private:
  void copy(uint8_t* to, const uint8_t* from) const;
  size_t bytes_in_use(uint64_t components) const;

  static constexpr size_t kSoftwareOffset = 464, kSoftwareBytes = 48, kHeaderOffset = 512, kHeaderBytes = 64;
  uint32_t bytes_ = 0;
  uint64_t components_ = 0;                 // that this host saves (XCR0)
  uint32_t mxcsr_mask_ = 0;
  uint8_t software_[kSoftwareBytes] = {};   // what the kernel writes there
  size_t component_end_[64] = {};           // from the start of the image
};

// Where the kernel puts frames, learnt from a stub's first trap.
class FrameLayout {
 public:
  FrameLayout() = default;
  // `stack` is the VMM's view of the signal stack, `context` the ucontext's address in the stub.
  // Throws HostError when the frame is not what this program understands.
  FrameLayout(const uint8_t* stack, uint64_t context);

  uint64_t context() const { return context_; }  // address in the stub
  uint64_t info() const;
  uint32_t context_offset() const { return static_cast<uint32_t>(context_offset_); }
  const FpuLayout& fpu() const { return fpu_; }

 private:
  friend class SignalFrame;
  uint64_t context_ = 0;
  uint64_t fpstate_ = 0;
  size_t context_offset_ = 0, fpstate_offset_ = 0, info_offset_ = 0;
  uint64_t flags_ = 0;  // uc_flags
  FpuLayout fpu_;
};

// What the frame says about the stop.
struct StopInfo {
  uint64_t error = 0, trap = 0, address = 0;
  int32_t code = 0;      // si_code
  uint32_t arch = 0;     // SIGSYS: AUDIT_ARCH_*
};

class SignalFrame {
 public:
  SignalFrame(const FrameLayout& layout, uint8_t* stack) : layout_(&layout), stack_(stack) {}

  // Registers and FPU state for the stub's next run.  Touches `regs` and `fpu`, which may fault.
  void load(const UserRegs& regs, const uint8_t* fpu);
  // The other direction.
  void store(UserRegs& regs, uint8_t* fpu) const;
  StopInfo info() const;
  uint64_t instruction_pointer() const;
  // Forgets what the previous address space left here.
  void wipe();

 private:
  const FrameLayout* layout_;
  uint8_t* stack_;
};

}  // namespace pando::stub
