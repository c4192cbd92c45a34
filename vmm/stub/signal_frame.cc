// SPDX-License-Identifier: Apache-2.0
#include "vmm/stub/signal_frame.h"

#include <cpuid.h>
#include <ucontext.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/error.h"
#include "guest_abi/boot.h"
#include "vmm/stub/stub_layout.h"

namespace pando::stub {

namespace {

constexpr uint32_t kFpuMagic1 = 0x46505853, kFpuMagic2 = 0x46505845;
constexpr uint32_t kMxcsrDefault = 0x1f80, kMxcsrMaskDefault = 0xffbf;
constexpr size_t kMxcsrOffset = 24, kMxcsrMaskOffset = 28;
constexpr uint64_t kX87 = 1, kSse = 2;

// EFLAGS that user code owns: CF PF AF ZF SF TF DF OF AC ID.
constexpr uint64_t kUserFlags = 0x240dd5;
constexpr uint64_t kFixedFlags = 0x202;  // IF, and the bit that is always set
constexpr uint64_t kSegments = PANDO_CS | uint64_t{PANDO_SS} << 48;  // cs, gs, fs, ss

// struct ucontext of the kernel: up to and with its 8-byte signal mask.
constexpr size_t kMaskOffset = offsetof(ucontext_t, uc_sigmask);
constexpr size_t kKernelContextBytes = kMaskOffset + 8;
static_assert(kMaskOffset == 296 && offsetof(ucontext_t, uc_mcontext) == 40);

template <class T>
T load_at(const uint8_t* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

template <class T>
void store_at(uint8_t* at, T value) {
  std::memcpy(at, &value, sizeof value);
}

}  // namespace

FpuLayout::FpuLayout(const uint8_t* image) {
  std::memcpy(software_, image + kSoftwareOffset, kSoftwareBytes);
  const auto magic = load_at<uint32_t>(software_);
  bytes_ = load_at<uint32_t>(software_ + 4);
  components_ = load_at<uint64_t>(software_ + 8);
  const bool sane = magic == kFpuMagic1 && bytes_ >= kHeaderOffset + kHeaderBytes + 4 && bytes_ <= PANDO_FPU_MAX &&
                    load_at<uint32_t>(image + bytes_ - 4) == kFpuMagic2;
  if (!sane) throw HostError("FPU image of signal frames (the host needs XSAVE)", ENOTSUP);
  mxcsr_mask_ = load_at<uint32_t>(image + kMxcsrMaskOffset);
  if (mxcsr_mask_ == 0) mxcsr_mask_ = kMxcsrMaskDefault;
  for (unsigned component = 2; component < 64; component++) {
    if ((components_ >> component & 1) == 0) continue;
    unsigned size = 0, offset = 0, c = 0, d = 0;
    __get_cpuid_count(0xd, component, &size, &offset, &c, &d);
    component_end_[component] = std::min<size_t>(offset + size, bytes_ - 4);
  }
}

size_t FpuLayout::bytes_in_use(uint64_t components) const {
  size_t end = kHeaderOffset + kHeaderBytes;
  for (uint64_t left = components & ~(kX87 | kSse); left != 0; left &= left - 1) {
    end = std::max(end, component_end_[__builtin_ctzll(left)]);
  }
  return end;
}

// Both directions: legacy area without the software bytes, a clean header, the components in use.
void FpuLayout::copy(uint8_t* to, const uint8_t* from) const {
  const uint64_t components = load_at<uint64_t>(from + kHeaderOffset) & components_;
  std::memcpy(to, from, kSoftwareOffset);
  store_at(to + kMxcsrOffset, load_at<uint32_t>(to + kMxcsrOffset) & mxcsr_mask_);
  std::memcpy(to + kSoftwareOffset, software_, kSoftwareBytes);
  store_at(to + kHeaderOffset, components);
  std::memset(to + kHeaderOffset + 8, 0, kHeaderBytes - 8);
  const size_t start = kHeaderOffset + kHeaderBytes;
  std::memcpy(to + start, from + start, bytes_in_use(components) - start);
  store_at(to + bytes_ - 4, kFpuMagic2);
}

void FpuLayout::to_stub(uint8_t* frame, const uint8_t* guest) const { copy(frame, guest); }
void FpuLayout::to_guest(uint8_t* guest, const uint8_t* frame) const { copy(guest, frame); }

void FpuLayout::reset(uint8_t* frame) const {
  std::memset(frame, 0, bytes_);
  store_at<uint16_t>(frame, 0x37f);
  store_at(frame + kMxcsrOffset, kMxcsrDefault);
  std::memcpy(frame + kSoftwareOffset, software_, kSoftwareBytes);
  store_at(frame + bytes_ - 4, kFpuMagic2);
}

FrameLayout::FrameLayout(const uint8_t* stack, uint64_t context) : context_(context) {
  const auto inside = [](uint64_t address, uint64_t bytes) {
    return address >= STUB_STACK && address % 8 == 0 && address + bytes <= STUB_STACK + STUB_STACK_BYTES;
  };
  if (!inside(context, kKernelContextBytes + sizeof(siginfo_t))) throw HostError("signal frame of a stub", ENOTSUP);
  context_offset_ = context - STUB_STACK;
  info_offset_ = context_offset_ + kKernelContextBytes;
  const auto* uc = reinterpret_cast<const ucontext_t*>(stack + context_offset_);
  flags_ = uc->uc_flags;
  fpstate_ = reinterpret_cast<uint64_t>(uc->uc_mcontext.fpregs);
  if (fpstate_ % 64 != 0 || !inside(fpstate_, 1024)) throw HostError("FPU state in a stub's signal frame", ENOTSUP);
  fpstate_offset_ = fpstate_ - STUB_STACK;
  fpu_ = FpuLayout(stack + fpstate_offset_);
  if (!inside(fpstate_, fpu_.bytes())) throw HostError("FPU state in a stub's signal frame", ENOTSUP);
}

uint64_t FrameLayout::info() const { return STUB_STACK + info_offset_; }

void SignalFrame::load(const UserRegs& regs, const uint8_t* fpu) {
  auto* uc = reinterpret_cast<ucontext_t*>(stack_ + layout_->context_offset_);
  uc->uc_flags = layout_->flags_;
  uc->uc_link = nullptr;
  uc->uc_stack = {reinterpret_cast<void*>(STUB_STACK), 0, STUB_STACK_BYTES};
  greg_t* g = uc->uc_mcontext.gregs;
  const auto set = [g](int index, uint64_t value) { g[index] = static_cast<greg_t>(value); };
  set(REG_R8, regs.r8), set(REG_R9, regs.r9), set(REG_R10, regs.r10), set(REG_R11, regs.r11);
  set(REG_R12, regs.r12), set(REG_R13, regs.r13), set(REG_R14, regs.r14), set(REG_R15, regs.r15);
  set(REG_RDI, regs.di), set(REG_RSI, regs.si), set(REG_RBP, regs.bp), set(REG_RBX, regs.bx);
  set(REG_RDX, regs.dx), set(REG_RAX, regs.ax), set(REG_RCX, regs.cx), set(REG_RSP, regs.sp);
  set(REG_RIP, regs.ip), set(REG_EFL, (regs.flags & kUserFlags) | kFixedFlags);
  set(REG_CSGSFS, kSegments);
  uc->uc_mcontext.fpregs = reinterpret_cast<fpregset_t>(layout_->fpstate_);
  store_at(stack_ + layout_->context_offset_ + kMaskOffset, uint64_t{0});
  layout_->fpu_.to_stub(stack_ + layout_->fpstate_offset_, fpu);
}

void SignalFrame::store(UserRegs& regs, uint8_t* fpu) const {
  const auto* uc = reinterpret_cast<const ucontext_t*>(stack_ + layout_->context_offset_);
  const greg_t* g = uc->uc_mcontext.gregs;
  const auto get = [g](int index) { return static_cast<uint64_t>(g[index]); };
  regs = {.r15 = get(REG_R15),
          .r14 = get(REG_R14),
          .r13 = get(REG_R13),
          .r12 = get(REG_R12),
          .bp = get(REG_RBP),
          .bx = get(REG_RBX),
          .r11 = get(REG_R11),
          .r10 = get(REG_R10),
          .r9 = get(REG_R9),
          .r8 = get(REG_R8),
          .ax = get(REG_RAX),
          .cx = get(REG_RCX),
          .dx = get(REG_RDX),
          .si = get(REG_RSI),
          .di = get(REG_RDI),
          .orig_ax = ~uint64_t{0},
          .ip = get(REG_RIP),
          .cs = PANDO_CS,
          .flags = (get(REG_EFL) & kUserFlags) | kFixedFlags,
          .sp = get(REG_RSP),
          .ss = PANDO_SS};
  layout_->fpu_.to_guest(fpu, stack_ + layout_->fpstate_offset_);
}

StopInfo SignalFrame::info() const {
  const auto* uc = reinterpret_cast<const ucontext_t*>(stack_ + layout_->context_offset_);
  const greg_t* g = uc->uc_mcontext.gregs;
  const uint8_t* si = stack_ + layout_->info_offset_;
  constexpr size_t kArchOffset = 28;
  return {.error = static_cast<uint64_t>(g[REG_ERR]),
          .trap = static_cast<uint64_t>(g[REG_TRAPNO]),
          .address = static_cast<uint64_t>(g[REG_CR2]),
          .code = load_at<int32_t>(si + offsetof(siginfo_t, si_code)),
          .arch = load_at<uint32_t>(si + kArchOffset)};
}

uint64_t SignalFrame::instruction_pointer() const {
  const auto* uc = reinterpret_cast<const ucontext_t*>(stack_ + layout_->context_offset_);
  return static_cast<uint64_t>(uc->uc_mcontext.gregs[REG_RIP]);
}

void SignalFrame::wipe() { std::memset(stack_, 0, STUB_STACK_BYTES); }

}  // namespace pando::stub
