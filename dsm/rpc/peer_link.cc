// SPDX-License-Identifier: Apache-2.0
#include "dsm/rpc/peer_link.h"

namespace pando::dsm {

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
  if (closing_) return;
  closing_ = true;
  if (writer_ && !writing_) writer_->close();
}

void Outbox::on_written(bool ok) {
  const std::lock_guard guard(mutex_);
  writing_ = false;
  if (!ok || !writer_) return;
  if (waiting_bytes_ != 0)
    write_next();
  else if (closing_)
    writer_->close();
}

void Outbox::kick() {
  const std::lock_guard guard(mutex_);
  if (writer_ && !writing_ && waiting_bytes_ != 0) write_next();
}

void Outbox::write_next() {
  on_its_way_.Clear();
  on_its_way_.Swap(&next_);
  waiting_bytes_ = 0;
  writing_ = true;
  ++frames_;
  writer_->start_write(&on_its_way_);
}

}  // namespace pando::dsm
