// SPDX-License-Identifier: Apache-2.0
// What happened on this node since its start, for Control.Events and for standard output.  Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "base/types.h"
#include "proto/control.pb.h"

namespace pando::dsm {

class EventLog {
 public:
  // Told that there is something new; may read() but not attach or detach.  Must not block.
  class Reader {
   public:
    virtual ~Reader() = default;
    virtual void on_new_event() = 0;
  };

  explicit EventLog(NodeId self) : self_(self) {}

  // Appends an event (sequence, time and node are filled in) and prints it on standard output.
  void add(v1::Event event);
  void add(v1::Phase phase, const std::string& text);

  // Calls use(event) for event number `index` if it exists already; true if it did.
  template <class Use>
  bool read(size_t index, Use&& use) {
    const std::lock_guard guard(mutex_);
    if (index >= events_.size()) return false;
    use(events_[index]);
    return true;
  }
  void attach(Reader* reader);
  void detach(Reader* reader);
  // Returns when nobody reads, or at the deadline.
  void wait_no_readers(std::chrono::steady_clock::time_point deadline);
  v1::Phase phase() const;

 private:
  static constexpr size_t kEventsMax = 1000;  // more than a node's life has; the exit event always fits
  const NodeId self_;
  mutable std::mutex mutex_;
  std::vector<v1::Event> events_;
  std::mutex readers_mutex_;  // taken before mutex_
  std::condition_variable reader_left_;
  std::set<Reader*> readers_;
};

}  // namespace pando::dsm
