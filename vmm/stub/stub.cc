// SPDX-License-Identifier: Apache-2.0
#include "vmm/stub/stub.h"

#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>

#include <asm/prctl.h>
#include <algorithm>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "vmm/stub/uffd_constants.h"

namespace pando::stub {

namespace {

// The stub finishes a batch without user code in between, so spin for it a little and then sleep.
constexpr uint32_t kBatchRounds = 200;
// Mappings closer than this to each other are registered by one call.
constexpr uint64_t kRegisterGap = 64 * kPageSize;
constexpr uint64_t kFaultAroundPages = 15;
// Every so many runs one is timed; odd, so that it does not fall into step with what programs do.
constexpr uint32_t kSampling = 17;
// A stub that is kicked and gets no CPU to answer on ignores nothing.  But one that sleeps for ever does not run either.
constexpr int64_t kRanShare = 10, kStarvedLimits = 6;
constexpr size_t kLockedPagesMax = 64;  // held by one vCPU thread for one batch
constexpr uint64_t kUffdModes =
    UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_MINOR | UFFDIO_REGISTER_MODE_WP;

int64_t now_ns() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1'000'000'000 + t.tv_nsec;
}

void write_command(stub_command& c, uint64_t number, std::initializer_list<uint64_t> arguments, uint64_t flags = 0) {
  c.number = number;
  std::copy(arguments.begin(), arguments.end(), c.argument);
  std::fill(c.argument + arguments.size(), std::end(c.argument), 0);
  c.flags = flags;
}

void write_ioctl(stub_command& c, uint64_t request, std::initializer_list<uint64_t> payload, uint64_t flags) {
  write_command(c, SYS_ioctl, {STUB_FD_UFFD, request, STUB_REPORT + REPORT_PAYLOAD}, flags);
  std::copy(payload.begin(), payload.end(), c.payload);
}

}  // namespace

Stub::Stub(NewStub born, const StubShared& shared) : shared_(shared), process_(std::move(born)) {}

void Stub::prove_locked() {
  if (stop_ == Stop::Claimed) {
    kicked_ns_.store(now_ns(), std::memory_order_relaxed);  // for the watchdog
    awaited_.store(true);
    count(shared_.counters.proofs);
    stop_ = process_.prove();
    awaited_.store(false);
    kicked_ns_.store(0, std::memory_order_relaxed);
  }
  if (stop_ == Stop::Died) dead_.store(true, std::memory_order_release);
}

void Stub::leave_space_locked() {
  prove_locked();  // its pages go to others soon
  shadow_.clear();
  mm_ = MmId{};
  if (dead()) return;
  runs_.clear();
  const Shadow::Batch batch = shadow_.take({process_.commands(), STUB_COMMANDS_MAX}, runs_);
  if (batch.commands == 0) return;
  count(shared_.counters.commands, batch.commands);
  process_.go({.commands = batch.commands, .after = STUB_STOP, .spin = 0});
  clearing_ = true;
}

void Stub::finish_clearing_locked() {
  if (!std::exchange(clearing_, false)) return;
  kicked_ns_.store(now_ns(), std::memory_order_relaxed);  // for the watchdog
  awaited_.store(true);
  stop_ = process_.wait_stop(kBatchRounds);
  awaited_.store(false);
  kicked_ns_.store(0, std::memory_order_relaxed);
  process_.void_commands();
  if (stop_ == Stop::Died) return;
  stop_ = Stop::Proven;  // it was proven before, and no user code has run since
  // A signal: a kick came late, and the commands may not have been carried out.
  if (process_.report().signal != 0) shadow_.drop_all();
}

bool Stub::assign(MmId mm, const FrameLayout& layout) {
  const std::lock_guard lock(mutex_);
  CHECK(mm_ == MmId{} && !owned_);
  finish_clearing_locked();
  // The former program may only have claimed that it stopped.
  prove_locked();
  if (dead()) return false;
  SignalFrame(layout, process_.stack()).wipe();
  process_.wipe_report();
  set_fs_.reset();
  set_gs_.reset();
  mm_ = mm;
  return true;
}

MmId Stub::serving() {
  const std::lock_guard lock(mutex_);
  return mm_;
}

void Stub::adopt_layout(const FrameLayout& layout, bool fsgsbase) {
  process_.set_frame(layout.context_offset());
  if (fsgsbase) process_.enable_fsgsbase();
}

Stub::Detach Stub::detach(MmId mm, WhenOwned when_owned) {
  const std::lock_guard lock(mutex_);
  if (mm_ != mm) return Detach::NotMine;
  if (owned_) {
    if (when_owned == WhenOwned::AtRelease) detach_on_release_ = true;
    return Detach::Owned;
  }
  leave_space_locked();
  return Detach::Done;
}

void Stub::map(MmId mm, const Shadow::Run& run) {
  const std::lock_guard lock(mutex_);
  if (mm_ == mm) shadow_.map(run.va, run.gpa, run.bytes, run.prot);
}

std::optional<uint64_t> Stub::revoke(MmId mm, const std::function<Shadow::Revokes(Shadow&)>& change) {
  const std::lock_guard lock(mutex_);
  if (mm_ != mm || change(shadow_) == Shadow::Revokes::No) return std::nullopt;
  if (!in_user_) {
    prove_locked();
    return std::nullopt;
  }
  awaiting_++;
  count(shared_.counters.parks);
  kick();
  return stops_;
}

void Stub::await_parked(uint64_t ticket) {
  std::unique_lock lock(mutex_);
  parked_.wait(lock, [&] { return stops_ != ticket || !in_user_; });
  awaiting_--;
}

void Stub::keep_off(int cpu, const cpu_set_t& allowed) {
  if (cpu == kept_off_) return;
  kept_off_ = cpu;
  cpu_set_t rest = allowed;
  if (cpu >= 0) CPU_CLR(cpu, &rest);
  process_.place(rest);
}

void Stub::kick() {
  int64_t none = 0;
  kicked_ns_.compare_exchange_strong(none, now_ns(), std::memory_order_relaxed);
  process_.kick();
}

void Stub::kill_if_unresponsive(int64_t now, int64_t limit_ns) {
  const int64_t since = kicked_ns_.load();
  // Looked at once more: a new run takes back an unanswered kick of before, and then is awaited.
  if (since == 0 || !awaited_.load() || kicked_ns_.load() != since) return;
  const int64_t cpu = process_.cpu_ns();
  if (std::exchange(watched_since_ns_, since) != since) watched_cpu_ns_ = cpu;
  const int64_t waited = now - since, ran = cpu - watched_cpu_ns_;
  if (waited < limit_ns || (ran < limit_ns / kRanShare && waited < kStarvedLimits * limit_ns)) return;
  count(shared_.counters.violations);
  spdlog::warn("stub-killed reason=\"it ignored a kick\" waited_ms={} ran_ms={}", waited / 1'000'000, ran / 1'000'000);
  process_.kill();
}

bool Stub::try_acquire(MmId mm, uint64_t tick) {
  const std::lock_guard lock(mutex_);
  if (mm_ != mm || owned_ || dead()) return false;
  owned_ = true;
  last_used_.store(tick, std::memory_order_relaxed);
  return true;
}

bool Stub::release() {
  const std::lock_guard lock(mutex_);
  owned_ = false;
  if (!detach_on_release_) return true;
  detach_on_release_ = false;
  leave_space_locked();
  return false;
}

void Stub::set_bases(uint64_t fs, uint64_t gs) {
  fs_ = fs;
  gs_ = gs;
  process_.set_bases(fs, gs);
}

void Stub::stopped_locked(Stop stop) {
  stop_ = stop;
  stops_++;
  in_user_ = false;
  if (stop == Stop::Died) dead_.store(true, std::memory_order_release);
  if (awaiting_ == 0) return;
  prove_locked();
  parked_.notify_all();
}

bool Stub::run(std::atomic<Stub*>& kick_target, const uint64_t& pending, Spin spin, Stub* left) {
  uint32_t commands = 0;
  {
    const std::lock_guard lock(mutex_);
    commands = prepare_locked();
    if (dead()) return false;
    in_user_ = true;
    kicked_ns_.store(0, std::memory_order_relaxed);  // of a kick that came too late for the run before
    awaited_.store(true);
  }
  const uint32_t after = !locked_.empty() && spin.vmm_rounds == 0 ? STUB_TELL : STUB_RESUME;
  kick_target.store(this);  // before the load of pending; partner: kick() after the change of pending
  if (__atomic_load_n(&pending, __ATOMIC_SEQ_CST) != 0) kick();
  const std::function<void()> on_done = [this] {
    process_.void_commands();
    unlock_pages();
  };
  const bool sampled = ++run_count_ % kSampling == 0;
  const int64_t began = sampled ? now_ns() : 0;
  process_.go({.commands = commands, .after = after, .spin = spin.stub_rounds});
  // Only now: the CPU that it leaves shall find this stub to run, not something else.
  if (left != nullptr) left->stop_spinning();
  const Stop stop = process_.wait_stop(spin.vmm_rounds, locked_.empty() ? nullptr : &on_done);
  if (sampled) count(shared_.counters.stub_ns, static_cast<uint64_t>(now_ns() - began) * kSampling);
  count(shared_.counters.hand_overs);
  if (stop == Stop::Proven) count(shared_.counters.sleeps);
  kick_target.store(nullptr);
  unlock_pages();
  const std::lock_guard lock(mutex_);
  stopped_locked(stop);
  awaited_.store(false);
  // Under the lock: a revoke that still took it for running has kicked it, and that kick is answered now.  Left over,
  // it would have the watchdog kill a stub that merely has nothing to do.
  kicked_ns_.store(0, std::memory_order_relaxed);
  return !dead();
}

void Stub::reset() {
  const std::lock_guard lock(mutex_);
  count(shared_.counters.resets);
  shadow_.drop_all();
  prove_locked();
}

void Stub::kill() {
  const std::lock_guard lock(mutex_);
  process_.end();
  stop_ = Stop::Died;
  dead_.store(true, std::memory_order_release);
}

std::optional<Stub::FaultPlace> Stub::fault_place(uint64_t va) {
  const std::lock_guard lock(mutex_);
  const std::optional<Shadow::Page> page = shadow_.mapped(va);
  if (!page) return std::nullopt;
  const auto [start, end] = shadow_.window(va, kFaultAroundPages);
  return FaultPlace{*page, start, end};
}

void Stub::forget(uint64_t va) {
  const std::lock_guard lock(mutex_);
  shadow_.forget(va);
}

uint32_t Stub::prepare_locked() {
  for (;;) {
    bool more = false;
    const uint32_t commands = write_batch(more);
    if (!more || dead()) return commands;
    process_.go({.commands = commands, .after = STUB_STOP, .spin = kBatchRounds});
    stop_ = process_.wait_stop(kBatchRounds);
    process_.void_commands();
    unlock_pages();
    // User code cannot have run, so this proof is for a stub that died or reports a failed command.
    prove_locked();
    // 0: all were carried out.  A signal: a kick came late, or user code kept it pending, and they may not have been.
    if (!dead() && process_.report().signal != 0) {
      count(shared_.counters.resets);
      shadow_.drop_all();
    }
  }
}

uint32_t Stub::write_batch(bool& more) {
  runs_.clear();
  uint32_t used = write_bases(0);
  const Shadow::Batch batch =
      shadow_.take({process_.commands() + used, STUB_COMMANDS_MAX - used}, runs_, shared_.populate);
  used += batch.commands;
  more = batch.more;
  used = write_registrations(used);
  if (shared_.install == Install::Eager) used = write_installs(used);
  if (used != 0) count(shared_.counters.commands, used);
  return used;
}

uint32_t Stub::write_bases(uint32_t used) {
  if (process_.fsgsbase()) return used;
  stub_command* commands = process_.commands();
  if (set_fs_ != fs_) write_command(commands[used++], SYS_arch_prctl, {ARCH_SET_FS, fs_}, STUB_MAY_FAIL);
  if (set_gs_ != gs_) write_command(commands[used++], SYS_arch_prctl, {ARCH_SET_GS, gs_}, STUB_MAY_FAIL);
  set_fs_ = fs_;
  set_gs_ = gs_;
  return used;
}

uint32_t Stub::write_registrations(uint32_t used) {
  for (size_t i = 0; i < runs_.size();) {
    if (runs_[i].registered) {
      i++;
      continue;
    }
    const uint64_t start = runs_[i].va;
    uint64_t end = start + runs_[i].bytes;
    for (i++; i < runs_.size() && !runs_[i].registered && runs_[i].va >= end && runs_[i].va - end <= kRegisterGap; i++) {
      end = runs_[i].va + runs_[i].bytes;
    }
    write_ioctl(process_.commands()[used++], UFFDIO_REGISTER, {start, end - start, kUffdModes}, 0);
  }
  return used;
}

uint32_t Stub::write_installs(uint32_t used) {
  stub_command* commands = process_.commands();
  if (shared_.populate == Populate::Yes) {
    // What was never written is a hole; its first access faults.
    for (const Shadow::Run& run : runs_)
      if (run.registered) write_ioctl(commands[used++], UFFDIO_CONTINUE, {run.va, run.bytes, 0}, STUB_MAY_FAIL);
    return used;
  }
  // Pages are locked in ascending order, over all runs.
  std::sort(runs_.begin(), runs_.end(), [](const auto& a, const auto& b) { return a.gpa < b.gpa; });
  for (const Shadow::Run& run : runs_) {
    const Shadow::Run part = lock_pages(run);
    if (part.bytes == 0) continue;
    const uint64_t mode = (part.prot & PANDO_PROT_WRITE) != 0 ? 0 : UFFDIO_CONTINUE_MODE_WP;
    write_ioctl(commands[used++], UFFDIO_CONTINUE, {part.va, part.bytes, mode}, STUB_MAY_FAIL);
  }
  return used;
}

// The first stretch of the run whose pages are here with the right that the mapping has.
Shadow::Run Stub::lock_pages(const Shadow::Run& run) {
  const dsm::Access access =
      (run.prot & PANDO_PROT_WRITE) != 0 ? dsm::Access::Write : dsm::Access::Read;
  Shadow::Run part{run.va, run.gpa, 0, run.prot};
  for (uint64_t offset = 0; offset < run.bytes && locked_.size() < kLockedPagesMax; offset += kPageSize) {
    const PageId page = page_of(GuestPhys(run.gpa + offset));
    // One page may be mapped at several addresses (the zero page is): locked once, and never against the order.
    const bool in_order = locked_.empty() || page.value() > locked_.back().value();
    if (in_order && shared_.client.lock_for_map(page, access)) {
      locked_.push_back(page);
      if (part.bytes == 0) part = {run.va + offset, run.gpa + offset, 0, run.prot};
      part.bytes += kPageSize;
    } else if (part.bytes != 0) {
      break;
    }
  }
  return part;
}

void Stub::unlock_pages() {
  for (const PageId page : locked_) shared_.client.unlock_mapped(page);
  locked_.clear();
}

}  // namespace pando::stub
