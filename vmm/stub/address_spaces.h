// SPDX-License-Identifier: Apache-2.0
// vmm/stub: guest user code, run natively in stub processes.
//
// A stub is a single-threaded process that holds the mappings of one guest address space, as seen by one vCPU at a
// time: a software-filled TLB.  Any of its mappings may be dropped at any time; the guest's page tables are the truth.
// An address space has as many stubs on this node as its threads ever ran at once here.  Why one process per running
// thread, and what a hostile user program can and cannot do: docs/design/0002-stub-sandbox.md.
//
// Construct AddressSpaces first thing: before threads exist, before guest RAM is mapped, before a seccomp filter is
// set.  It forks a nursery process from which all stubs are forked later, so that the VMM itself needs no right to.
//
// Threads: each VcpuRun belongs to one vCPU thread.  map() and run_user() are called on that thread; unmap(), resync()
// and free() on any vCPU thread (pass its VcpuRun) or on the fabric worker thread (pass nullptr).  No lock is held while
// guest RAM is touched.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/types.h"
#include "dsm/client/node_client.h"
#include "guest_abi/hypercall.h"
#include "guest_abi/user.h"
#include "vmm/stub/shadow.h"

namespace pando::stub {

// How a vCPU thread and its stub wait for each other.
enum class HandOver : uint8_t {
  Adaptive,  // spin while this process has CPUs to spare, else block
  Spin,
  Block,
};

// When the PTE of a freshly mapped page is installed.
enum class Install : uint8_t {
  Eager,    // together with the mapping, where the page is here with the right
  OnFault,  // by the first access
};

struct Options {
  int vcpus = 1;  // local vCPUs, 1 .. kVcpusMax
  HandOver hand_over = HandOver::Adaptive;
  uint32_t spin_rounds = 4000;  // of PAUSE, before a side that may spin sleeps
  Install install = Install::Eager;
  int stubs_max = 512;         // processes; beyond it the least recently used address space loses its stub
  int unresponsive_ms = 10000;  // a stub that ignores a kick for so long is killed
};

// struct pt_regs of x86-64, as in guest_abi/user.h.
struct UserRegs {
  uint64_t r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};

struct Counters {
  uint64_t runs = 0, syscalls = 0, faults = 0, interrupts = 0, traps = 0;
  uint64_t dsm_faults = 0;        // resolved here, unseen by the guest
  uint64_t commands = 0;          // mmap, munmap, mprotect, ioctl executed in stubs
  uint64_t maps = 0, unmaps = 0;  // hypercalls
  uint64_t parks = 0;             // running stubs stopped for an unmap
  uint64_t stubs_made = 0, stubs_killed = 0, stubs_evicted = 0;
  uint64_t resets = 0;       // host limit on mappings reached
  uint64_t violations = 0;   // hostile behaviour detected
  uint64_t hand_overs = 0;   // to a stub and back
  uint64_t sleeps = 0;       // of these: the vCPU's thread slept
  uint64_t proofs = 0;       // stops that were proven for the sake of an unmap
  uint64_t stub_ns = 0;      // time from go to stop, estimated from samples
};

class Stub;
class Space;

// One per local vCPU, owned by the vCPU; not movable.
class VcpuRun {
 public:
  // `pending` is the word at PANDO_VB_PENDING of the vCPU block; both outlive this.
  VcpuRun(int index, VcpuId vcpu, const uint64_t* pending) : index_(index), vcpu_(vcpu), pending_(pending) {}
  VcpuRun(const VcpuRun&) = delete;
  VcpuRun& operator=(const VcpuRun&) = delete;

 private:
  friend class AddressSpaces;
  const int index_;  // 0 .. Options::vcpus - 1
  const VcpuId vcpu_;
  const uint64_t* const pending_;
  std::atomic<Stub*> running_{nullptr};  // whom kick() stops; null outside of user code
  // The vCPU thread's alone: what it ran last.
  std::shared_ptr<Space> space_;
  std::shared_ptr<Stub> stub_;
  std::shared_ptr<Stub> left_;  // the one before, which may still spin
  bool active_ = false;  // counted as one that needs CPUs
};

class AddressSpaces {
 public:
  // Throws HostError; UserError with the remedy when the host refuses userfaultfd or seccomp.
  AddressSpaces(dsm::NodeClient& client, const Options& options);
  ~AddressSpaces();  // ends all stubs
  AddressSpaces(const AddressSpaces&) = delete;
  AddressSpaces& operator=(const AddressSpaces&) = delete;

  // Size of the FPU image of this host (boot.fpu_bytes).
  uint32_t fpu_bytes() const;
  // Features (XCR0 bits) of which that image has room for the state (boot.xfeatures).
  uint64_t xfeatures() const;
  // Does user code see FSGSBASE here (PANDO_FEATURE_FSGSBASE, AT_HWCAP2 bit 1)?
  bool fsgsbase() const;

  // PANDO_HC_MM_MAP, _UNMAP, _RESYNC, _FREE on this node.  Arguments come from the guest: bad ones give -EINVAL.
  long map(VcpuRun& run, MmId mm, GuestVirt va, GuestPhys gpa, uint64_t bytes, uint64_t prot);
  long unmap(VcpuRun* run, MmId mm, GuestVirt va, uint64_t bytes);
  long resync(VcpuRun* run, MmId mm, const pando_resync& list);
  long free(VcpuRun* run, MmId mm);

  // PANDO_HC_RUN_USER: returns PANDO_EXIT_*.  `user` is a copy in host memory; `regs` and `fpu` (fpu_bytes()) lie in
  // guest RAM and may fault.  When the stub dies, or misbehaves and is killed: PANDO_EXIT_TRAP with SIGKILL.
  // Returns PANDO_EXIT_INTERRUPT when the cluster ends.
  long run_user(VcpuRun& run, MmId mm, pando_user& user, UserRegs* regs, uint8_t* fpu);

  // Makes run_user() return soon with PANDO_EXIT_INTERRUPT.  Async-signal-safe; to be called on the vCPU's own thread
  // by the handler of the signal that follows each change of `pending` (run_user() re-checks it after publishing the
  // stub).  Does nothing outside of user code.
  static void kick(VcpuRun& run);

  // Around the time that a vCPU sleeps in PANDO_HC_IDLE: frees its share of CPUs for others to spin.
  void enter_idle(VcpuRun& run);
  void leave_idle(VcpuRun& run);

  Counters counters() const;

 private:
  class Impl;
  long revoke(MmId mm, const std::function<Shadow::Revokes(Shadow&)>& change);
  std::unique_ptr<Impl> impl_;
};

}  // namespace pando::stub
