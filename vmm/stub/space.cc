// SPDX-License-Identifier: Apache-2.0
#include "vmm/stub/space.h"

#include <pthread.h>
#include <signal.h>
#include <sys/auxv.h>
#include <time.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"
#include "base/log.h"

namespace pando::stub {

namespace {

constexpr unsigned long kHwcap2Fsgsbase = 2;
constexpr auto kWatchPeriod = std::chrono::seconds(1);

}  // namespace

std::shared_ptr<Stub> Space::acquire_any(uint64_t tick) {
  const std::lock_guard lock(mutex_);
  for (const auto& stub : stubs_) {
    if (stub->try_acquire(mm_, tick)) return stub;
  }
  return nullptr;
}

void Space::add(std::shared_ptr<Stub> stub) {
  const std::lock_guard lock(mutex_);
  std::erase_if(stubs_, [&](const auto& s) { return s->dead() || s == stub || !s->serves(mm_); });
  stubs_.push_back(std::move(stub));
}

std::vector<std::shared_ptr<Stub>> Space::stubs() {
  const std::lock_guard lock(mutex_);
  return stubs_;
}

StubTable::StubTable(dsm::NodeClient& client, const Options& options, Counters& counters)
    : populate_(client.layout().solo() && options.install == Install::Eager ? Populate::Yes : Populate::No),
      nursery_(client.ram_fd(), populate_),
      shared_{client, options.install, populate_, counters},
      stubs_max_(std::max(options.stubs_max, options.vcpus)),
      unresponsive_ns_(int64_t{options.unresponsive_ms} * 1'000'000),
      fsgsbase_((getauxval(AT_HWCAP2) & kHwcap2Fsgsbase) != 0) {
  // The first stub shows where the host's signal frames lie, before any user code can have touched one.
  auto first = std::make_shared<Stub>(nursery_.make(), shared_);
  layout_ = FrameLayout(first->stack(), first->process().first_context());
  first->adopt_layout(layout_, fsgsbase_);
  count(counters.stubs_made);
  alive_.push_back(first);
  free_.push_back(std::move(first));
  watchdog_ = std::thread([this] { watch(); });
}

StubTable::~StubTable() {
  {
    const std::lock_guard lock(alive_mutex_);
    ending_ = true;
  }
  end_.notify_all();
  watchdog_.join();
}

void StubTable::watch() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, nullptr);
  pthread_setname_np(pthread_self(), "stub-watchdog");
  std::unique_lock lock(alive_mutex_);
  while (!end_.wait_for(lock, kWatchPeriod, [this] { return ending_; })) {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    const int64_t now = t.tv_sec * 1'000'000'000 + t.tv_nsec;
    for (const auto& stub : alive_) stub->kill_if_unresponsive(now, unresponsive_ns_);
  }
}

std::shared_ptr<Space> StubTable::find(MmId mm) {
  const std::lock_guard lock(mutex_);
  const auto it = spaces_.find(mm);
  return it == spaces_.end() ? nullptr : it->second;
}

std::shared_ptr<Space> StubTable::find_or_make(MmId mm) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<Space>& space = spaces_[mm];
  if (!space) space = std::make_shared<Space>(mm);
  return space;
}

std::shared_ptr<Stub> StubTable::acquire(Space& space) {
  for (;;) {
    if (auto stub = space.acquire_any(tick())) return stub;
    std::shared_ptr<Stub> stub = take_free();
    if (!stub) stub = make();
    if (!stub->assign(space.mm(), layout_)) continue;  // died while it was free
    space.add(stub);
    // Another vCPU of this address space may have been faster; then there is one more soon.
    if (stub->try_acquire(space.mm(), tick())) return stub;
  }
}

std::shared_ptr<Stub> StubTable::take_free() {
  const std::lock_guard lock(mutex_);
  std::erase_if(free_, [](const auto& s) { return s->dead(); });
  if (free_.empty()) return nullptr;
  // The one that has been free for longest has dropped its old mappings by now.
  std::shared_ptr<Stub> stub = std::move(free_.front());
  free_.erase(free_.begin());
  return stub;
}

bool StubTable::room_for_one_more() {
  const std::lock_guard lock(alive_mutex_);
  std::erase_if(alive_, [](const auto& s) { return s->dead(); });
  return alive_.size() < static_cast<size_t>(stubs_max_);
}

std::shared_ptr<Stub> StubTable::make() {
  // When nothing can be evicted all are running; then one more than allowed, for each vCPU at most.
  while (!room_for_one_more() && evict_one()) {
    if (auto stub = take_free()) return stub;
  }
  auto stub = std::make_shared<Stub>(nursery_.make(), shared_);
  if (stub->process().first_context() != layout_.context()) throw HostError("signal frame of a new stub", EPROTO);
  stub->adopt_layout(layout_, fsgsbase_);
  count(shared_.counters.stubs_made);
  const std::lock_guard lock(alive_mutex_);
  alive_.push_back(stub);
  return stub;
}

// Takes the stub of the least recently used address space that is not running.
bool StubTable::evict_one() {
  std::vector<std::pair<uint64_t, std::shared_ptr<Stub>>> by_age;
  {
    const std::lock_guard lock(alive_mutex_);
    for (const auto& stub : alive_) by_age.emplace_back(stub->last_used(), stub);
  }
  std::sort(by_age.begin(), by_age.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [age, stub] : by_age) {
    const MmId mm = stub->serving();
    if (mm == MmId{} || stub->detach(mm, Stub::WhenOwned::Refuse) != Stub::Detach::Done) continue;
    count(shared_.counters.stubs_evicted);
    add_free(stub);
    return true;
  }
  return false;
}

void StubTable::add_free(std::shared_ptr<Stub> stub) {
  const std::lock_guard lock(mutex_);
  free_.push_back(std::move(stub));
}

void StubTable::release(const std::shared_ptr<Stub>& stub) {
  if (!stub->release()) add_free(stub);
}

void StubTable::free(MmId mm) {
  std::shared_ptr<Space> space;
  {
    const std::lock_guard lock(mutex_);
    const auto it = spaces_.find(mm);
    if (it == spaces_.end()) return;
    space = std::move(it->second);
    spaces_.erase(it);
  }
  for (const auto& stub : space->stubs()) {
    if (stub->detach(mm, Stub::WhenOwned::AtRelease) == Stub::Detach::Done) add_free(stub);
  }
}

}  // namespace pando::stub
