// SPDX-License-Identifier: Apache-2.0
#include "dsm/agent/console_hub.h"

namespace pando::dsm {

void ConsoleHub::append(uint8_t port, std::string_view bytes) {
  if (port >= kConsolePorts || bytes.empty()) return;
  {
    const std::lock_guard guard(mutex_);
    if (closed_) return;
    pieces_.push_back({port, std::string(bytes)});
    bytes_ += bytes.size();
    trim();
  }
  notify();
}

void ConsoleHub::notify() {
  const std::lock_guard guard(readers_mutex_);
  for (Reader* r : readers_) r->on_output();
}

void ConsoleHub::trim() {
  const size_t bound = reader_count_ == 0 ? kBacklogIdleMax : kBacklogReadMax;
  while (bytes_ > bound && pieces_.size() > 1) {
    const Piece& oldest = pieces_.front();
    dropped_[oldest.port] += oldest.bytes.size();
    bytes_ -= oldest.bytes.size();
    pieces_.pop_front();
    ++first_piece_;
  }
}

void ConsoleHub::close() {
  {
    const std::lock_guard guard(mutex_);
    closed_ = true;
  }
  notify();
}

ConsoleHub::Next ConsoleHub::next(Cursor& cursor, v1::ConsoleOutput& output) {
  const std::lock_guard guard(mutex_);
  output.Clear();
  if (cursor.piece < first_piece_) {
    uint64_t dropped = 0;
    for (uint8_t p = 0; p < kConsolePorts; ++p)
      if (cursor.ports >> p & 1) dropped += dropped_[p];
    output.set_dropped_bytes(dropped);
    cursor.piece = first_piece_;
  }
  for (; cursor.piece < first_piece_ + pieces_.size(); ++cursor.piece) {
    const Piece& piece = pieces_[cursor.piece - first_piece_];
    if (!(cursor.ports >> piece.port & 1)) continue;
    const bool joins = output.data().empty() || static_cast<uint8_t>(output.port()) == piece.port;
    if (!joins || output.data().size() + piece.bytes.size() > kPieceMax * 2) break;
    output.set_port(static_cast<v1::ConsolePort>(piece.port));
    output.mutable_data()->append(piece.bytes);
  }
  if (!output.data().empty()) return Next::Got;
  return closed_ ? Next::Closed : Next::Nothing;
}

void ConsoleHub::attach(Reader* reader) {
  const std::lock_guard guard(readers_mutex_);
  readers_.insert(reader);
  reader_count_ = readers_.size();
}

void ConsoleHub::detach(Reader* reader) {
  const std::lock_guard guard(readers_mutex_);
  readers_.erase(reader);
  reader_count_ = readers_.size();
  reader_left_.notify_all();
}

void ConsoleHub::wait_no_readers(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(readers_mutex_);
  reader_left_.wait_until(lock, deadline, [this] { return readers_.empty(); });
}

}  // namespace pando::dsm
