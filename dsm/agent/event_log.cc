// SPDX-License-Identifier: Apache-2.0
#include "dsm/agent/event_log.h"

#include <google/protobuf/util/json_util.h>
#include <unistd.h>

#include <chrono>

namespace pando::dsm {

namespace {

void print(const v1::Event& event) {
  std::string line;
  if (!google::protobuf::util::MessageToJsonString(event, &line).ok()) return;
  line += '\n';
  // One write for one line; a reader that went away is noticed by the liveness pipe, not here.
  (void)!write(STDOUT_FILENO, line.data(), line.size());
}

}  // namespace

void EventLog::add(v1::Event event) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  {
    const std::lock_guard guard(mutex_);
    if (events_.size() >= kEventsMax && !event.has_exit()) return;
    event.set_sequence(events_.size());
    event.set_unix_ns(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
    event.set_node(self_.value());
    print(event);
    events_.push_back(std::move(event));
  }
  const std::lock_guard guard(readers_mutex_);
  for (Reader* r : readers_) r->on_new_event();
}

void EventLog::add(v1::Phase phase, const std::string& text) {
  v1::Event event;
  event.set_phase(phase);
  event.set_text(text);
  add(std::move(event));
}

void EventLog::attach(Reader* reader) {
  const std::lock_guard guard(readers_mutex_);
  readers_.insert(reader);
}

void EventLog::detach(Reader* reader) {
  const std::lock_guard guard(readers_mutex_);
  readers_.erase(reader);
  reader_left_.notify_all();
}

void EventLog::wait_no_readers(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(readers_mutex_);
  reader_left_.wait_until(lock, deadline, [this] { return readers_.empty(); });
}

v1::Phase EventLog::phase() const {
  const std::lock_guard guard(mutex_);
  return events_.empty() ? v1::PHASE_IDLE : events_.back().phase();
}

}  // namespace pando::dsm
