// SPDX-License-Identifier: Apache-2.0
// A guest without a kernel: memory on a real memfd with a real userfaultfd, hand-written user code, and a test in the
// place of the guest kernel.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstring>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/mapping.h"
#include "vmm/stub/address_spaces.h"

namespace pando::stub::test {

// The node of a cluster of one or two, whose pages are all here.
class TestNode final : public dsm::NodeClient {
 public:
  explicit TestNode(uint64_t bytes, int nodes = 1)
      : ram_(static_cast<int>(check_errno(memfd_create("test-ram", MFD_CLOEXEC), "memfd_create"))) {
    check_errno(ftruncate(ram_.get(), static_cast<off_t>(bytes)), "ftruncate");
    alias_ = Mapping::shared_file(ram_.get(), bytes, PROT_READ | PROT_WRITE);
    for (int i = 0; i < nodes; i++) layout_.nodes.push_back({GuestPhys(bytes / nodes * i), bytes / nodes});
    layout_.ram_bytes = bytes;
  }
  const dsm::ClusterLayout& layout() const override { return layout_; }
  int ram_fd() const override { return ram_.get(); }
  int64_t clock_offset_ns() const override { return 0; }
  Fault fault_in(const dsm::Uffd& uffd, uint64_t at, PageId page, uint64_t start, uint64_t end,
                 const dsm::FaultInfo& info) override {
    faults++;
    last_info = info;
    if (at < start || at >= end) windows_are_sane = false;
    auto* byte = alias_.data() + address_of(page).value();
    __atomic_fetch_or(byte, 0, __ATOMIC_RELAXED);  // populates
    const auto how = info.access == dsm::Access::Write || layout_.solo() ? dsm::Uffd::Protection::Writable
                                                                         : dsm::Uffd::Protection::WriteProtected;
    const auto result = uffd.continue_pages(at, kPageSize, how);
    if (result == dsm::Uffd::Continue::AlreadyMapped) uffd.write_protect(at, kPageSize, how);
    return result == dsm::Uffd::Continue::Gone ? Fault::Gone : Fault::Installed;
  }
  bool lock_for_map(PageId page, dsm::Access) override {
    const std::lock_guard lock(mutex_);
    if (absent.contains(page)) return false;
    locked_.insert(page);
    locks++;
    return true;
  }
  void unlock_mapped(PageId page) override {
    const std::lock_guard lock(mutex_);
    unlock_errors += locked_.erase(page) != 1;
  }
  size_t locked_now() {
    const std::lock_guard lock(mutex_);
    return locked_.size();
  }
  void preload(GuestPhys at, std::span<const uint8_t> bytes) override {
    std::memcpy(alias_.data() + at.value(), bytes.data(), bytes.size());
  }
  void preload_home(GuestPhys at, std::span<const uint8_t> bytes) override { preload(at, bytes); }
  void send(NodeId, dsm::FabricKind, std::span<const uint8_t>) override {}
  std::optional<dsm::FabricMessage> receive(int) override { return std::nullopt; }
  Stats stats() const override { return {}; }
  void name_address_space(const AddressSpaceName&) override {}
  void set_cpu_area(VcpuId, uint64_t) override {}

  uint8_t* at(uint64_t gpa) { return alias_.data() + gpa; }
  uint64_t& word(uint64_t gpa) { return *reinterpret_cast<uint64_t*>(at(gpa)); }

  std::atomic<int> faults{0}, locks{0}, unlock_errors{0};
  std::atomic<bool> windows_are_sane{true};
  dsm::FaultInfo last_info;
  std::set<PageId> absent;

 private:
  UniqueFd ram_;
  Mapping alias_;
  dsm::ClusterLayout layout_;
  std::mutex mutex_;
  std::set<PageId> locked_;
};

// One virtual CPU in the test's hands.
struct TestCpu {
  explicit TestCpu(int index = 0) : run(index, VcpuId(static_cast<uint16_t>(index)), &pending) {}
  uint64_t pending = 0;
  VcpuRun run;
};

inline constexpr uint64_t kCode = 0x400000, kData = 0x600000, kStack = 0x800000;
inline constexpr MmId kMm{1};

// Interrupts `cpu` every `period_ms` while it lives.  One at a time.
class KickTimer {
 public:
  KickTimer(TestCpu& cpu, int period_ms) {
    target() = &cpu;
    struct sigaction action {};
    action.sa_handler = [](int) {
      __atomic_fetch_or(&target()->pending, 1, __ATOMIC_SEQ_CST);
      AddressSpaces::kick(target()->run);
    };
    sigaction(SIGALRM, &action, nullptr);
    set(period_ms);
  }
  ~KickTimer() { set(0); }

 private:
  static TestCpu*& target() {
    static TestCpu* cpu;
    return cpu;
  }
  static void set(int period_ms) {
    const timeval period{0, period_ms * 1000};
    const itimerval timer{period, period};
    setitimer(ITIMER_REAL, &timer, nullptr);
  }
};

// An address space with one page of code, and the registers of one thread in it.
class Guest {
 public:
  static constexpr uint64_t kRam = 64 << 20;

  explicit Guest(Options options = {}, int nodes = 1) : node(kRam, nodes), spaces(node, options) {
    fpu.resize(spaces.fpu_bytes());
    fpu[0] = 0x7f;
    fpu[1] = 0x03;
    fpu[24] = 0x80;
    fpu[25] = 0x1f;
    regs.sp = kStack + 0xff0;
  }

  // User code, position-independent, to guest-physical page `gpa` and to kCode of `mm`.
  void code(const char* start, const char* end, uint64_t gpa = 0x100000) {
    std::memcpy(node.at(gpa), start, static_cast<size_t>(end - start));
    code_gpa = gpa;
    regs.ip = kCode;
  }
  long map(TestCpu& cpu, MmId mm, uint64_t va, uint64_t gpa, uint64_t bytes = kPageSize, uint64_t prot = 3) {
    return spaces.map(cpu.run, mm, GuestVirt(va), GuestPhys(gpa), bytes, prot);
  }
  long run(TestCpu& cpu, MmId mm = kMm) { return spaces.run_user(cpu.run, mm, user, &regs, fpu.data()); }
  // Runs and, like a guest kernel, maps the code page on demand: va kCode -> code_gpa, read and execute.
  long run_with_code(TestCpu& cpu, MmId mm = kMm) {
    for (int i = 0; i < 4; i++) {
      const long exit = run(cpu, mm);
      if (exit != PANDO_EXIT_FAULT || user.address < kCode || user.address >= kCode + kPageSize) return exit;
      map(cpu, mm, kCode, code_gpa, kPageSize, 5);
    }
    return -1;
  }

  TestNode node;
  AddressSpaces spaces;
  UserRegs regs{};
  std::vector<uint8_t> fpu;
  pando_user user{};
  uint64_t code_gpa = 0;
};

// Defines user code: USER_CODE(name, "instructions") gives name_start and name_end.
#define USER_CODE(name, text)                                                                     \
  extern "C" const char name##_start[], name##_end[];                                             \
  asm(".pushsection .rodata\n.globl " #name "_start, " #name "_end\n" #name "_start:\n" text      \
      "\n" #name "_end:\n.popsection\n")

}  // namespace pando::stub::test
