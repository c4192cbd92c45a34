// SPDX-License-Identifier: Apache-2.0
// One debugger's connection: the Remote Serial Protocol (GDB manual, appendix E) over a DebugTarget.
//
// No I/O: bytes go in by on_bytes(), answers come out through the sink.  Thread N+1 of GDB is virtual CPU N.  All-stop.
// All input is hostile: what is not understood gets an empty answer or an error, memory stays bounded.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "tools/gdb/debug_target.h"
#include "tools/gdb/packet.h"

namespace pando::gdb {

class Session {
 public:
  using Sink = std::function<void(std::string_view bytes)>;
  enum class State : uint8_t { Stopped, Running, Over };

  struct Counters {
    uint64_t packets = 0;
    uint64_t bad_checksums = 0;
    uint64_t oversized = 0;
    uint64_t not_understood = 0;
  };

  // `first` is what target.attach() gave.
  Session(DebugTarget& target, const StopEvent& first, Sink sink);

  void on_bytes(std::string_view bytes);
  // The target may have stopped: sends the stop reply that the debugger waits for.
  void on_target_event();
  State state() const { return state_; }
  const Counters& counters() const { return counters_; }

 private:
  void on_item(PacketItem item);
  void on_packet(std::string_view packet);
  void send(std::string_view payload);

  // Each gives the answer; nullopt = none now (a stop reply follows, or the session is over).
  std::optional<std::string> answer(std::string_view packet);
  std::optional<std::string> answer_query(std::string_view packet);
  std::optional<std::string> answer_vcont(std::string_view packet);
  std::optional<std::string> answer_resume(Action action, std::string_view address);
  std::string answer_set(std::string_view packet);
  std::string answer_registers(std::string_view packet);
  std::string answer_one_register(std::string_view packet);
  std::string answer_read_memory(std::string_view arguments);
  std::string answer_write_memory(std::string_view packet);
  std::string answer_breakpoint(std::string_view packet);
  std::string answer_select(std::string_view packet);
  std::string answer_alive(std::string_view id);
  std::string answer_transfer(std::string_view arguments);
  std::string answer_thread_list(std::string_view packet);
  std::string answer_extra_info(std::string_view id);
  std::string answer_monitor(std::string_view hex);
  std::string stop_reply() const;
  std::string threads_xml();

  std::optional<VcpuId> thread_named(std::string_view id);
  std::optional<std::vector<VcpuAction>> parse_actions(std::string_view list);
  bool start(std::span<const VcpuAction> actions);

  DebugTarget& target_;
  Sink sink_;
  PacketDecoder decoder_;
  State state_ = State::Stopped;
  StopEvent last_stop_;
  VcpuId selected_{};  // for registers and memory (Hg)
  bool acknowledging_ = true;
  bool stop_ack_mode_ = false;  // QStartNoAckMode was answered
  std::set<uint64_t> breakpoints_[2];  // software, hardware
  std::string last_sent_;
  std::string threads_xml_;  // snapshot that qXfer:threads reads piecewise
  Counters counters_;
};

}  // namespace pando::gdb
