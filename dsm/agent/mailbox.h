// SPDX-License-Identifier: Apache-2.0
// Bounded queue of typed events to one thread, with a descriptor to poll on.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>

#include "base/error.h"
#include "base/unique_fd.h"

namespace pando::dsm {

template <class Event>
class Mailbox {
 public:
  explicit Mailbox(size_t events_max) : events_max_(events_max) {
    wake_.reset(static_cast<int>(check_errno(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd")));
  }

  int fd() const { return wake_.get(); }  // readable while events wait

  // Any thread.  False: full, the event is refused.
  bool post(Event event) {
    const std::lock_guard guard(mutex_);
    if (events_.size() >= events_max_) return false;
    events_.push_back(std::move(event));
    const uint64_t one = 1;
    (void)!write(wake_.get(), &one, sizeof one);
    return true;
  }

  std::optional<Event> take() {
    const std::lock_guard guard(mutex_);
    if (events_.empty()) {
      uint64_t count = 0;
      (void)!read(wake_.get(), &count, sizeof count);
      return std::nullopt;
    }
    std::optional<Event> event(std::move(events_.front()));
    events_.pop_front();
    return event;
  }

 private:
  const size_t events_max_;
  UniqueFd wake_;
  std::mutex mutex_;
  std::deque<Event> events_;
};

}  // namespace pando::dsm
