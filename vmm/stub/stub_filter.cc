// SPDX-License-Identifier: Apache-2.0
#include "vmm/stub/stub_filter.h"

#include <linux/audit.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <asm/prctl.h>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "vmm/stub/stub_code.h"
#include "vmm/stub/stub_layout.h"
#include "vmm/stub/uffd_constants.h"

namespace pando::stub {

namespace {

constexpr uint32_t high(uint64_t value) { return static_cast<uint32_t>(value >> 32); }
constexpr uint32_t low(uint64_t value) { return static_cast<uint32_t>(value); }

// Emits checks one after the other; each failing one ends the process at once.
class FilterWriter {
 public:
  void load(size_t offset) { emit(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)); }
  void load_low(int argument) { load(argument_offset(argument)); }
  void load_high(int argument) { load(argument_offset(argument) + 4); }
  void allow() { emit(BPF_RET | BPF_K, SECCOMP_RET_ALLOW); }
  void kill() { emit(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS); }
  void trap() { emit(BPF_RET | BPF_K, SECCOMP_RET_TRAP); }
  void emit(int code, uint32_t k, uint8_t if_true = 0, uint8_t if_false = 0) {
    code_.push_back({static_cast<uint16_t>(code), if_true, if_false, k});
  }

  void demand_loaded(uint32_t value) {
    emit(BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0);
    kill();
  }
  void demand_loaded_either(uint32_t one, uint32_t other) {
    emit(BPF_JMP | BPF_JEQ | BPF_K, one, 2, 0);
    demand_loaded(other);
  }
  void demand_loaded_below(uint32_t limit) {
    emit(BPF_JMP | BPF_JGE | BPF_K, limit, 0, 1);
    kill();
  }
  void demand_number(int number) {
    load(offsetof(seccomp_data, nr));
    demand_loaded(static_cast<uint32_t>(number));
  }
  void demand(int argument, uint64_t value) {
    load_low(argument);
    demand_loaded(low(value));
    load_high(argument);
    demand_loaded(high(value));
  }
  // A range that starts in the user part and is shorter than 4 GiB.
  void demand_user_range(int address, int length) {
    load_high(address);
    demand_loaded_below(high(PANDO_USER_TOP));
    load_high(length);
    demand_loaded(0);
  }
  void demand_protection(int argument) {
    load_low(argument);
    demand_loaded_below((PROT_READ | PROT_WRITE | PROT_EXEC) + 1);
    load_high(argument);
    demand_loaded(0);
  }

  // The rules for one syscall instruction: skipped when the call comes from another one.
  template <class Rules>
  void at(const char* after_syscall, int number, Rules rules) {
    load(offsetof(seccomp_data, instruction_pointer));
    const size_t jump = code_.size();
    emit(BPF_JMP | BPF_JEQ | BPF_K, low(address_in_stub(after_syscall)), 0, 0);
    demand_number(number);
    rules();
    allow();
    code_[jump].jf = static_cast<uint8_t>(code_.size() - jump - 1);
  }

  std::vector<sock_filter> take() { return std::move(code_); }

 private:
  static size_t argument_offset(int argument) {
    return offsetof(seccomp_data, args) + sizeof(uint64_t) * static_cast<size_t>(argument);
  }
  std::vector<sock_filter> code_;
};

void outside_is_guest(FilterWriter& w) {
  w.load(offsetof(seccomp_data, instruction_pointer) + 4);
  w.emit(BPF_JMP | BPF_JEQ | BPF_K, high(STUB_CODE), 1, 0);
  w.trap();
  w.load(offsetof(seccomp_data, instruction_pointer));
  w.emit(BPF_ALU | BPF_AND | BPF_K, 0xfffff000);
  w.emit(BPF_JMP | BPF_JEQ | BPF_K, low(STUB_CODE), 1, 0);
  w.trap();
  w.load(offsetof(seccomp_data, arch));
  w.demand_loaded(AUDIT_ARCH_X86_64);
}

void write_to_pipe(FilterWriter& w, uint64_t from) {
  w.demand(0, STUB_FD_PIPE);
  w.demand(1, from);
  w.demand(2, sizeof(uint64_t));
}

void unmap_rules(FilterWriter& w) {
  w.load_high(1);
  w.emit(BPF_JMP | BPF_JEQ | BPF_K, high(PANDO_USER_TOP), 0, 10);
  w.demand(0, 0);  // [0, PANDO_USER_TOP) as a whole: 6 instructions
  w.load_low(1);
  w.demand_loaded(low(PANDO_USER_TOP));
  w.allow();
  w.demand_user_range(0, 1);
}

void ioctl_rules(FilterWriter& w) {
  w.demand(0, STUB_FD_UFFD);
  w.load_high(1);
  w.demand_loaded(0);
  w.load_low(1);
  w.demand_loaded_either(UFFDIO_REGISTER, UFFDIO_CONTINUE);
  w.demand(2, STUB_REPORT + REPORT_PAYLOAD);
}

void mapping_rules(FilterWriter& w, Populate populate) {
  constexpr uint32_t kShared = MAP_SHARED | MAP_FIXED;
  w.at(stub_after_mmap, SYS_mmap, [&] {
    w.demand_user_range(0, 1);
    w.demand_protection(2);
    w.load_high(3);
    w.demand_loaded(0);
    w.load_low(3);
    w.demand_loaded_either(kShared, populate == Populate::Yes ? kShared | MAP_POPULATE : kShared);
    w.demand(4, STUB_FD_RAM);
  });
  w.at(stub_after_mprotect, SYS_mprotect, [&] {
    w.demand_user_range(0, 1);
    w.demand_protection(2);
  });
  w.at(stub_after_munmap, SYS_munmap, [&] { unmap_rules(w); });
  w.at(stub_after_madvise, SYS_madvise, [&] {
    w.demand(0, 0);
    w.demand(1, PANDO_USER_TOP);
    w.demand(2, MADV_DONTNEED);
  });
  w.at(stub_after_ioctl, SYS_ioctl, [&] { ioctl_rules(w); });
}

}  // namespace

std::vector<sock_filter> make_stub_filter(Populate populate) {
  FilterWriter w;
  outside_is_guest(w);
  w.at(stub_after_sigreturn, SYS_rt_sigreturn, [] {});
  w.at(stub_after_futex, SYS_futex, [&] {
    w.demand(0, STUB_CONTROL + CONTROL_ATTENTION);
    w.demand(1, FUTEX_WAIT);
    w.demand(3, 0);
  });
  w.at(stub_after_prove, SYS_write, [&] { write_to_pipe(w, STUB_REPORT + REPORT_PROOF); });
  w.at(stub_after_done, SYS_write, [&] { write_to_pipe(w, STUB_CONTROL + CONTROL_DONE); });
  mapping_rules(w, populate);
  w.at(stub_after_arch_prctl, SYS_arch_prctl, [&] {
    w.load_high(0);
    w.demand_loaded(0);
    w.load_low(0);
    w.demand_loaded_either(ARCH_SET_FS, ARCH_SET_GS);
  });
  w.at(stub_after_exit, SYS_exit_group, [] {});
  w.kill();
  return w.take();
}

}  // namespace pando::stub
