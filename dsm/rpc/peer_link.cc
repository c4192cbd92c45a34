// SPDX-License-Identifier: Apache-2.0
#include "dsm/rpc/peer_link.h"

#include <utility>

namespace pando::dsm {

namespace {

constexpr int64_t kBusyWaitNs = 100'000;  // a frame is due while the one before is still being written

}  // namespace

void Outbox::attach(FrameWriter* writer) {
  const std::lock_guard guard(mutex_);
  writer_ = writer;
}

void Outbox::detach() {
  const std::lock_guard guard(mutex_);
  writer_ = nullptr;
}

void Outbox::close() {
  const std::lock_guard guard(mutex_);
  closing_ = true;
  pump();
}

void Outbox::on_written(bool ok) {
  const std::lock_guard guard(mutex_);
  writing_ = false;
  if (ok) pump();
}

// Writes whatever may go now.
void Outbox::pump() {
  while (writer_ && !writing_) {
    if (!aside_.empty()) {
      // With a delay the last frames of a stream may leave early: it is about to be closed.
      if (!closing_ && aside_.front().due_ns > monotonic_now_ns()) return;
      write_aside();
    } else if (waiting_bytes_ != 0 && options_.delay_ns == 0) {
      write_next();
    } else {
      if (closing_ && !std::exchange(closed_, true)) writer_->close();
      return;
    }
  }
}

bool Outbox::kick() {
  const std::lock_guard guard(mutex_);
  if (!writer_ || waiting_bytes_ == 0) return false;
  if (!options_.batching || options_.delay_ns != 0) put_aside();
  if (options_.delay_ns != 0) return true;
  pump();
  return false;
}

void Outbox::put_aside() {
  aside_.push_back({monotonic_now_ns() + options_.delay_ns, {}});
  aside_.back().frame.Swap(&next_);
  waiting_bytes_ = 0;
}

int64_t Outbox::release(int64_t now_ns) {
  const std::lock_guard guard(mutex_);
  if (aside_.empty()) return INT64_MAX;
  if (aside_.front().due_ns > now_ns) return aside_.front().due_ns;
  if (!writer_) return INT64_MAX;
  if (writing_) return now_ns + kBusyWaitNs;
  write_aside();
  return aside_.empty() ? INT64_MAX : aside_.front().due_ns;
}

void Outbox::write_aside() {
  on_its_way_.Swap(&aside_.front().frame);
  aside_.pop_front();
  writing_ = true;
  ++frames_;
  if (writer_->start_write(&on_its_way_) == FrameWriter::Write::Done) writing_ = false;
}

void Outbox::write_next() {
  on_its_way_.Clear();
  on_its_way_.Swap(&next_);
  waiting_bytes_ = 0;
  writing_ = true;
  ++frames_;
  if (writer_->start_write(&on_its_way_) == FrameWriter::Write::Done) writing_ = false;
}

}  // namespace pando::dsm
