// SPDX-License-Identifier: Apache-2.0
#include "vmm/stub/address_spaces.h"

#include <linux/audit.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/error.h"
#include "base/log.h"
#include "vmm/stub/space.h"

namespace pando::stub {

namespace {

constexpr uint64_t kProtectionTrap = 13;
constexpr uint64_t kPageFaultTrap = 14;
constexpr uint64_t kErrorWrite = 2, kErrorFetch = 16;
constexpr uint64_t kTrapsMax = 32;
constexpr uint64_t kProtMask = PANDO_PROT_READ | PANDO_PROT_WRITE | PANDO_PROT_EXEC;
constexpr int32_t kSysSeccomp = 1;  // SYS_SECCOMP

cpu_set_t allowed_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  check_errno(sched_getaffinity(0, sizeof set, &set), "sched_getaffinity");
  return set;
}

unsigned needed_right(uint64_t error) {
  if ((error & kErrorFetch) != 0) return PANDO_PROT_EXEC;
  return (error & kErrorWrite) != 0 ? PANDO_PROT_WRITE : PANDO_PROT_READ;
}

bool user_range(uint64_t va, uint64_t bytes) {
  return va % kPageSize == 0 && bytes % kPageSize == 0 && bytes != 0 && va < PANDO_USER_TOP &&
         bytes <= PANDO_USER_TOP - va;
}

}  // namespace

class AddressSpaces::Impl {
 public:
  Impl(dsm::NodeClient& client, const Options& options)
      : client_(client), options_(options), allowed_(allowed_cpus()), cpus_(CPU_COUNT(&allowed_)),
        all_cpus_(cpus_ >= sysconf(_SC_NPROCESSORS_ONLN)), table_(client, options, counters_) {}

  // What becomes of a stop.
  enum class Next : uint8_t { RunAgain, Leave, Kill };
  struct Verdict {
    Next next;
    long exit = PANDO_EXIT_INTERRUPT;
  };

  // One stop of a stub, looked at.
  struct StopView {
    VcpuRun& run;
    Stub& stub;
    MmId mm;
    pando_user& user;
    uint64_t ip = 0;
    StubProcess::Report report{};
    StopInfo info{};
  };

  Spin spin() const;
  std::shared_ptr<Stub> acquire(VcpuRun& run, MmId mm);
  long run_owned(VcpuRun& run, Stub& stub, MmId mm, pando_user& user, UserRegs* regs, uint8_t* fpu);
  Verdict judge(StopView& stop);
  Verdict on_command_failure(StopView& stop);
  Verdict on_page_fault(StopView& stop);
  Verdict on_trap(StopView& stop);
  long killed(Stub& stub, pando_user& user);
  long report_killed(pando_user& user);

  dsm::NodeClient& client_;
  const Options options_;
  const cpu_set_t allowed_;
  const int cpus_;
  const bool all_cpus_;
  Counters counters_{};
  StubTable table_;
  std::atomic<int> active_vcpus_{0};
  LogLimiter violations_log_{5};
};

// Spinning takes two CPUs per vCPU; with fewer, the spinner would keep the other side from running.  Where nobody gave
// this process CPUs of its own it shares them with the other nodes of its host.
Spin AddressSpaces::Impl::spin() const {
  const int share = all_cpus_ ? cpus_ / static_cast<int>(client_.host_nodes()) : cpus_;
  const bool spare = 2 * std::max(1, active_vcpus_.load(std::memory_order_relaxed)) <= share;
  if (options_.hand_over == HandOver::Block || (options_.hand_over == HandOver::Adaptive && !spare)) return {};
  return {options_.spin_rounds, options_.spin_rounds};
}

std::shared_ptr<Stub> AddressSpaces::Impl::acquire(VcpuRun& run, MmId mm) {
  if (run.space_ && run.space_->mm() == mm && run.stub_->try_acquire(mm, table_.tick())) return run.stub_;
  run.left_ = std::move(run.stub_);
  run.space_ = table_.find_or_make(mm);
  run.stub_ = table_.acquire(*run.space_);
  return run.stub_;
}

long AddressSpaces::Impl::report_killed(pando_user& user) {
  count(counters_.stubs_killed);
  user.signal = SIGKILL;
  user.code = 0;
  user.trap = 0;
  user.error = 0;
  user.address = 0;
  return PANDO_EXIT_TRAP;
}

long AddressSpaces::Impl::killed(Stub& stub, pando_user& user) {
  stub.kill();
  return report_killed(user);
}

long AddressSpaces::Impl::run_owned(VcpuRun& run, Stub& stub, MmId mm, pando_user& user, UserRegs* regs,
                                    uint8_t* fpu) {
  SignalFrame frame(table_.frame_layout(), stub.stack());
  frame.load(*regs, fpu);
  stub.set_bases(user.fs_base, user.gs_base);
  for (;;) {
    const Spin waiting = spin();
    stub.keep_off(waiting.vmm_rounds != 0 ? sched_getcpu() : -1, allowed_);
    if (!stub.run(run.running_, *run.pending_, waiting, run.left_.get())) return killed(stub, user);
    run.left_.reset();
    StopView stop{run, stub, mm, user, frame.instruction_pointer(), stub.report(), frame.info()};
    const Verdict verdict = judge(stop);
    if (verdict.next == Next::Kill) return killed(stub, user);
    // Whatever the stub says, an interrupt gets through to the guest.
    const bool interrupted = __atomic_load_n(run.pending_, __ATOMIC_RELAXED) != 0;
    if (verdict.next == Next::RunAgain && !interrupted) continue;
    if (verdict.next == Next::RunAgain) count(counters_.interrupts);
    frame.store(*regs, fpu);
    if (table_.fsgsbase()) {
      user.fs_base = stop.report.fs;
      user.gs_base = stop.report.gs;
    }
    return verdict.exit;
  }
}

AddressSpaces::Impl::Verdict AddressSpaces::Impl::judge(StopView& stop) {
  if (stop.report.signal == STUB_COMMAND_FAILED) return on_command_failure(stop);
  const FrameLayout& layout = table_.frame_layout();
  const bool honest = stop.report.context == layout.context() && stop.report.info == layout.info() &&
                      (stop.ip < STUB_CODE || stop.ip >= STUB_CONTROL);
  if (!honest) {
    count(counters_.violations);
    if (violations_log_.allow()) {
      spdlog::warn("stub-violation mm={} signal={} rip=0x{:x} frame=0x{:x}", stop.mm.value(), stop.report.signal,
                   stop.ip, stop.report.context);
    }
    return {Next::Kill};
  }
  switch (stop.report.signal) {
    case STUB_KICK:
      return {Next::RunAgain};  // stopped for the sake of an unmap, or for this vCPU
    case SIGSYS:
      if (stop.info.code == kSysSeccomp && stop.info.arch == AUDIT_ARCH_X86_64) {
        count(counters_.syscalls);
        return {Next::Leave, PANDO_EXIT_SYSCALL};
      }
      stop.report.signal = SIGSEGV;  // a 32-bit call: as on a host without them
      return on_trap(stop);
    case SIGSEGV:
    case SIGBUS:
      // SI_KERNEL is no page fault: trap and address are those of an earlier one (jump into the host's vsyscall page).
      if (stop.info.trap == kPageFaultTrap && stop.info.code == SI_KERNEL) {
        stop.info.trap = kProtectionTrap;
        stop.info.error = stop.info.address = 0;
      }
      if (stop.info.trap == kPageFaultTrap) return on_page_fault(stop);
      return on_trap(stop);
    case SIGILL:
    case SIGFPE:
    case SIGTRAP: return on_trap(stop);
    default: count(counters_.violations); return {Next::Kill};
  }
}

// The registers are still in the frame: user code has not run.
AddressSpaces::Impl::Verdict AddressSpaces::Impl::on_command_failure(StopView& stop) {
  if (static_cast<int64_t>(stop.report.info) == -ENOMEM) {
    stop.stub.reset();
    return {Next::RunAgain};
  }
  if (violations_log_.allow()) {
    spdlog::warn("stub-command-failed mm={} result={} command=0x{:x}", stop.mm.value(),
                 static_cast<int64_t>(stop.report.info), stop.report.context);
  }
  return {Next::Kill};
}

AddressSpaces::Impl::Verdict AddressSpaces::Impl::on_page_fault(StopView& stop) {
  const uint64_t address = stop.info.address;
  const unsigned right = needed_right(stop.info.error);
  const auto place = stop.stub.fault_place(address);
  const bool allowed = place && (place->page.prot & right) != 0;
  if (allowed && stop.report.signal == SIGBUS) {
    count(counters_.dsm_faults);
    dsm::FaultInfo info;
    info.address = address;
    info.rip = stop.ip;
    info.vcpu = stop.run.vcpu_;
    info.access = right == PANDO_PROT_WRITE ? dsm::Access::Write : dsm::Access::Read;
    info.user = true;
    info.mm = stop.mm;
    const auto result = client_.fault_in(stop.stub.uffd(), page_floor(address), page_of(GuestPhys(place->page.gpa)),
                                         place->window_start, place->window_end, info);
    if (result == dsm::NodeClient::Fault::Ended) return {Next::Leave, PANDO_EXIT_INTERRUPT};
    return {Next::RunAgain};
  }
  // Believed to be mapped, but the host says no: the program has meddled with its own mappings.
  if (allowed) stop.stub.forget(address);
  count(counters_.faults);
  stop.user.address = address;
  stop.user.error = stop.info.error;
  return {Next::Leave, PANDO_EXIT_FAULT};
}

AddressSpaces::Impl::Verdict AddressSpaces::Impl::on_trap(StopView& stop) {
  count(counters_.traps);
  stop.user.address = stop.info.address;
  stop.user.error = stop.info.error;
  stop.user.trap = std::min(stop.info.trap, kTrapsMax);
  stop.user.signal = static_cast<uint32_t>(stop.report.signal);
  stop.user.code = static_cast<uint32_t>(stop.info.code);
  return {Next::Leave, PANDO_EXIT_TRAP};
}

AddressSpaces::AddressSpaces(dsm::NodeClient& client, const Options& options)
    : impl_(std::make_unique<Impl>(client, options)) {}

AddressSpaces::~AddressSpaces() = default;

uint32_t AddressSpaces::fpu_bytes() const { return impl_->table_.frame_layout().fpu().bytes(); }
uint64_t AddressSpaces::xfeatures() const { return impl_->table_.frame_layout().fpu().components(); }

bool AddressSpaces::fsgsbase() const { return impl_->table_.fsgsbase(); }

long AddressSpaces::map(VcpuRun& run, MmId mm, GuestVirt va, GuestPhys gpa, uint64_t bytes, uint64_t prot) {
  const uint64_t ram = impl_->client_.layout().ram_bytes;
  if (mm == MmId{} || !user_range(va.value(), bytes) || gpa.value() % kPageSize != 0 || gpa.value() >= ram ||
      bytes > ram - gpa.value() || prot == 0 || (prot & ~kProtMask) != 0)
    return -EINVAL;
  count(impl_->counters_.maps);
  if (run.stub_) run.stub_->map(mm, {va.value(), gpa.value(), bytes, static_cast<unsigned>(prot)});
  return 0;
}

long AddressSpaces::revoke(MmId mm, const std::function<Shadow::Revokes(Shadow&)>& change) {
  count(impl_->counters_.unmaps);
  const std::shared_ptr<Space> space = impl_->table_.find(mm);
  if (!space) return 0;
  // First stop all that run, then wait for each.
  std::vector<std::pair<std::shared_ptr<Stub>, uint64_t>> awaited;
  for (auto& stub : space->stubs()) {
    if (const auto ticket = stub->revoke(mm, change)) awaited.emplace_back(stub, *ticket);
  }
  for (const auto& [stub, ticket] : awaited) stub->await_parked(ticket);
  return 0;
}

long AddressSpaces::unmap(VcpuRun*, MmId mm, GuestVirt va, uint64_t bytes) {
  if (mm == MmId{} || !user_range(va.value(), bytes)) return -EINVAL;
  const bool all = va.value() == 0 && bytes == PANDO_USER_TOP;
  return revoke(mm, [&](Shadow& s) { return all ? s.clear() : s.unmap(va.value(), bytes); });
}

long AddressSpaces::resync(VcpuRun*, MmId mm, const pando_resync& list) {
  if (mm == MmId{} || list.count > PANDO_RESYNC_MAX || list.to <= list.from ||
      !user_range(list.from, list.to - list.from))
    return -EINVAL;
  return revoke(mm, [&](Shadow& s) { return s.resync(list.from, list.to, {list.entry, list.count}); });
}

long AddressSpaces::free(VcpuRun*, MmId mm) {
  if (mm == MmId{}) return -EINVAL;
  impl_->table_.free(mm);
  return 0;
}

// The caller is the guest: no exception may pass through it.
long AddressSpaces::run_user(VcpuRun& run, MmId mm, pando_user& user, UserRegs* regs, uint8_t* fpu) {
  if (mm == MmId{}) return -EINVAL;
  count(impl_->counters_.runs);
  leave_idle(run);
  try {
    const std::shared_ptr<Stub> stub = impl_->acquire(run, mm);
    const long exit = impl_->run_owned(run, *stub, mm, user, regs, fpu);
    impl_->table_.release(stub);
    return exit;
  } catch (const std::exception& error) {
    spdlog::error("stub-failed mm={} reason=\"{}\"", mm.value(), error.what());
    return impl_->report_killed(user);
  }
}

void AddressSpaces::kick(VcpuRun& run) {
  if (Stub* stub = run.running_.load()) stub->kick();
}

void AddressSpaces::enter_idle(VcpuRun& run) {
  if (!run.active_) return;
  run.active_ = false;
  if (run.stub_) run.stub_->stop_spinning();
  impl_->active_vcpus_.fetch_sub(1, std::memory_order_relaxed);
}

void AddressSpaces::leave_idle(VcpuRun& run) {
  if (run.active_) return;
  run.active_ = true;
  impl_->active_vcpus_.fetch_add(1, std::memory_order_relaxed);
}

Counters AddressSpaces::counters() const {
  Counters copy;
  const uint64_t* from = reinterpret_cast<const uint64_t*>(&impl_->counters_);
  uint64_t* to = reinterpret_cast<uint64_t*>(&copy);
  for (size_t i = 0; i < sizeof copy / sizeof *to; i++) to[i] = __atomic_load_n(from + i, __ATOMIC_RELAXED);
  return copy;
}

}  // namespace pando::stub
