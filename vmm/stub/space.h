// SPDX-License-Identifier: Apache-2.0
// The stubs of all address spaces of this node: found, made, reused, taken away.
//
// Lock order: StubTable, Space, Stub.  None but a Stub's own is held while a stub is waited for.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "vmm/stub/nursery.h"
#include "vmm/stub/stub.h"

namespace pando::stub {

// One guest address space on this node.
class Space {
 public:
  explicit Space(MmId mm) : mm_(mm) {}
  MmId mm() const { return mm_; }

  std::shared_ptr<Stub> acquire_any(uint64_t tick);  // null: all are in use
  void add(std::shared_ptr<Stub> stub);
  std::vector<std::shared_ptr<Stub>> stubs();

 private:
  const MmId mm_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<Stub>> stubs_;  // may hold some that serve another address space by now
};

class StubTable {
 public:
  StubTable(dsm::NodeClient& client, const Options& options, Counters& counters);
  ~StubTable();

  const FrameLayout& frame_layout() const { return layout_; }
  bool fsgsbase() const { return fsgsbase_; }

  std::shared_ptr<Space> find(MmId mm);  // null: has never run here
  std::shared_ptr<Space> find_or_make(MmId mm);
  // A stub of `space` that the caller owns.  Throws HostError.
  std::shared_ptr<Stub> acquire(Space& space);
  // Gives back an owned stub.
  void release(const std::shared_ptr<Stub>& stub);
  void free(MmId mm);
  uint64_t tick() { return tick_.fetch_add(1, std::memory_order_relaxed) + 1; }

 private:
  std::shared_ptr<Stub> take_free();
  std::shared_ptr<Stub> make();
  bool room_for_one_more();
  bool evict_one();
  void add_free(std::shared_ptr<Stub> stub);
  void watch();

  const Populate populate_;  // alone, no page ever leaves
  Nursery nursery_;
  StubShared shared_;
  const int stubs_max_;
  const int64_t unresponsive_ns_;
  FrameLayout layout_;
  bool fsgsbase_ = false;
  std::atomic<uint64_t> tick_{0};

  std::mutex mutex_;
  std::unordered_map<MmId, std::shared_ptr<Space>> spaces_;
  std::vector<std::shared_ptr<Stub>> free_;  // without an address space

  // The watchdog must get on whatever the others wait for: no other lock is taken under this one.
  std::mutex alive_mutex_;
  std::vector<std::shared_ptr<Stub>> alive_;
  bool ending_ = false;
  std::condition_variable end_;
  std::thread watchdog_;
};

}  // namespace pando::stub
