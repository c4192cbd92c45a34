// SPDX-License-Identifier: Apache-2.0
// A stub process with the address space that it serves at the moment.
//
// States: free (no address space), idle, owned by a vCPU thread (acquire), in user code (within run).  `mutex_` guards
// the state and the shadow table; it is never held while guest RAM is touched or while user code runs.  What is waited
// for under it is the stub's own code only (a proof, a batch of commands), which the watchdog bounds.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "vmm/stub/address_spaces.h"
#include "vmm/stub/shadow.h"
#include "vmm/stub/stub_process.h"

namespace pando::stub {

struct StubShared {
  dsm::NodeClient& client;
  Install install;
  Populate populate;  // Yes: mappings are made with their pages present, and need no install
  Counters& counters;  // shared by threads: count()
};

inline void count(uint64_t& counter, uint64_t by = 1) { __atomic_fetch_add(&counter, by, __ATOMIC_RELAXED); }

// How the two sides of one run wait.
struct Spin {
  uint32_t vmm_rounds = 0;
  uint32_t stub_rounds = 0;
};

class Stub {
 public:
  // Forks a process.  Throws HostError, UserError.
  Stub(NewStub born, const StubShared& shared);

  // --- any thread ---
  // A free stub becomes mm's, as soon as it has dropped what it had; false when the process has died.
  bool assign(MmId mm, const FrameLayout& layout);
  // Takes the stub from its address space; false: it is owned (then release() does it) or serves another one.
  enum class Detach : uint8_t { Done, Owned, NotMine };
  enum class WhenOwned : uint8_t { Refuse, AtRelease };
  Detach detach(MmId mm, WhenOwned when_owned);
  MmId serving();
  bool serves(MmId mm) { return serving() == mm; }
  // Once, before the first assign().
  void adopt_layout(const FrameLayout& layout, bool fsgsbase);
  void map(MmId mm, const Shadow::Run& run);
  // Applies `change` to the shadow table.  Afterwards user code cannot reach what was revoked; when it runs right now,
  // it is being stopped, and await_parked() with the returned ticket waits for that.
  std::optional<uint64_t> revoke(MmId mm, const std::function<Shadow::Revokes(Shadow&)>& change);
  void await_parked(uint64_t ticket);
  void kick();              // async-signal-safe
  void keep_off(int cpu, const cpu_set_t& allowed);
  void stop_spinning() { process_.stop_spinning(); }
  void kill_if_unresponsive(int64_t now_ns, int64_t limit_ns);
  bool dead() const { return dead_.load(std::memory_order_acquire); }
  uint64_t last_used() const { return last_used_.load(std::memory_order_relaxed); }

  // --- owner ---
  bool try_acquire(MmId mm, uint64_t tick);
  // False: the stub has been detached meanwhile and is free.
  bool release();
  uint8_t* stack() const { return process_.stack(); }
  StubProcess::Report report() const { return process_.report(); }
  void set_bases(uint64_t fs, uint64_t gs);
  // Executes what is queued, runs user code until it stops.  False: the process is dead.  `left`, if any, is the stub
  // that this vCPU ran before and that gives its CPU to this one.
  bool run(std::atomic<Stub*>& kick_target, const uint64_t& pending, Spin spin, Stub* left);
  // The host refused a mapping: drops all.
  void reset();
  // Returns when the process runs no more.
  void kill();
  struct FaultPlace {
    Shadow::Page page;
    uint64_t window_start, window_end;
  };
  std::optional<FaultPlace> fault_place(uint64_t va);
  void forget(uint64_t va);
  const dsm::Uffd& uffd() const { return process_.uffd(); }
  const StubProcess& process() const { return process_; }

 private:
  void prove_locked();
  // The stub becomes free, and drops its mappings while others go on; finish_clearing_locked() waits for that.
  void leave_space_locked();
  void finish_clearing_locked();
  void stopped_locked(Stop stop);
  // Writes the next batch; all but the last are executed here.  Commands in the last one.
  uint32_t prepare_locked();
  uint32_t write_batch(bool& more);
  uint32_t write_bases(uint32_t used);
  uint32_t write_installs(uint32_t used);
  uint32_t write_registrations(uint32_t used);
  Shadow::Run lock_pages(const Shadow::Run& run);
  void unlock_pages();

  const StubShared shared_;
  StubProcess process_;

  std::mutex mutex_;
  std::condition_variable parked_;
  MmId mm_{};  // 0: free
  bool owned_ = false, in_user_ = false, detach_on_release_ = false;
  bool clearing_ = false;  // free, and its process is still dropping mappings
  Stop stop_ = Stop::Proven;  // by its birth
  uint64_t stops_ = 0;
  int awaiting_ = 0;
  Shadow shadow_;
  std::vector<Shadow::Run> runs_;

  // The owner's.
  uint64_t fs_ = 0, gs_ = 0;
  std::optional<uint64_t> set_fs_, set_gs_;  // what the process has
  std::vector<PageId> locked_;               // pages held for installs under way

  uint32_t run_count_ = 0;  // for sampling
  int kept_off_ = -1;  // CPU where the stub shall not run

  std::atomic<bool> dead_{false};
  std::atomic<int64_t> kicked_ns_{0};  // 0: no kick is unanswered
  // Somebody waits for the stub.  A kick from a signal handler or another thread may come when the stub has just stopped;
  // that one is never answered, and no reason to kill it.  Partner: the load in kill_if_unresponsive().
  std::atomic<bool> awaited_{false};
  int64_t watched_since_ns_ = 0, watched_cpu_ns_ = 0;  // the watchdog's: the kick that it looks at, and the CPU time then
  std::atomic<uint64_t> last_used_{0};
};

}  // namespace pando::stub
