// SPDX-License-Identifier: Apache-2.0
#include "tools/gdb/session.h"

#include <algorithm>

#include "dsm/shm/debug_message.h"

namespace pando::gdb {

namespace {

constexpr const char* kOk = "OK";
constexpr const char* kBadArguments = "E16";  // EINVAL
constexpr const char* kNoMemory = "E0e";      // EFAULT
constexpr const char* kNoThread = "E03";      // ESRCH
constexpr const char* kBusy = "E10";          // EBUSY
// In words: GDB shows them.
constexpr const char* kOver = "E.the guest has ended: nothing can run or be changed any more";
constexpr size_t kReadMax = kPacketMax / 2;   // bytes of memory in one answer
constexpr int kSigInt = 2, kSigTrap = 5, kSigAbort = 6, kSigKill = 9;

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// The part up to `end`, or all; both it and `end` are taken off.
std::string_view take_until(std::string_view& text, char end) {
  const size_t at = text.find(end);
  const std::string_view part = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return part;
}

std::string hex_number(uint64_t value) {
  char text[20];
  std::snprintf(text, sizeof text, "%llx", static_cast<unsigned long long>(value));
  return text;
}

std::string thread_id(VcpuId vcpu) { return hex_number(uint64_t{vcpu.value()} + 1); }

std::string xml_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '&': out += "&amp;"; break;
      case '"': out += "&quot;"; break;
      default: out += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
    }
  }
  return out;
}

struct Range {
  uint64_t address = 0;
  uint64_t bytes = 0;
};

std::optional<Range> parse_range(std::string_view text) {
  const auto address = parse_hex(take_until(text, ','));
  const auto bytes = parse_hex(text);
  if (!address || !bytes) return std::nullopt;
  return Range{*address, *bytes};
}

std::span<const uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

int signal_of(StopReason reason) {
  switch (reason) {
    case StopReason::Asked: return kSigInt;
    case StopReason::Panic: return kSigAbort;
    case StopReason::Dead: return kSigKill;
    default: return kSigTrap;
  }
}

// A piece of a document: `m` = more follows, `l` = the last one.
std::string piece_of(std::string_view document, const Range& range) {
  if (range.address >= document.size()) return "l";
  const size_t bytes = std::min<uint64_t>({range.bytes, document.size() - range.address, kPacketMax - 16});
  const bool last = range.address + bytes == document.size();
  return std::string(last ? "l" : "m") + std::string(document.substr(range.address, bytes));
}

}  // namespace

Session::Session(DebugTarget& target, const StopEvent& first, Sink sink)
    : target_(target), sink_(std::move(sink)), last_stop_(first), selected_(first.vcpu) {}

void Session::on_bytes(std::string_view bytes) {
  for (const char byte : bytes) {
    if (state_ == State::Over) return;
    if (auto item = decoder_.push(static_cast<uint8_t>(byte))) on_item(std::move(*item));
  }
}

void Session::on_item(PacketItem item) {
  switch (item.kind) {
    case PacketItem::Kind::Ack:
      if (stop_ack_mode_) acknowledging_ = false;
      break;
    case PacketItem::Kind::Nak:
      if (acknowledging_ && !last_sent_.empty()) sink_(last_sent_);
      break;
    case PacketItem::Kind::Interrupt:
      if (state_ == State::Running) target_.interrupt();
      break;
    case PacketItem::Kind::BadChecksum:
      ++counters_.bad_checksums;
      if (acknowledging_) sink_("-");
      break;
    case PacketItem::Kind::Oversized:
      ++counters_.oversized;
      if (acknowledging_) sink_("+");
      send(kBadArguments);
      break;
    case PacketItem::Kind::Packet:
      ++counters_.packets;
      if (acknowledging_) sink_("+");
      on_packet(item.payload);
      break;
  }
}

void Session::on_packet(std::string_view packet) {
  if (const auto reply = answer(packet)) {
    if (reply->empty()) ++counters_.not_understood;
    send(*reply);
  }
}

void Session::send(std::string_view payload) {
  last_sent_ = encode_packet(payload);
  sink_(last_sent_);
}

void Session::on_target_event() {
  if (state_ == State::Over) return;
  const auto stop = target_.take_stop();
  if (!stop) return;
  last_stop_ = *stop;
  if (state_ != State::Running) return;
  state_ = State::Stopped;
  selected_ = stop->vcpu;
  if (!stop->text.empty()) send("O" + to_hex(stop->text + "\n"));
  send(stop_reply());
}

std::optional<std::string> Session::answer(std::string_view packet) {
  if (packet.empty()) return "";
  if (state_ == State::Running) return kBusy;  // all-stop: nothing may be asked before the stop reply
  const std::string_view rest = packet.substr(1);
  switch (packet[0]) {
    case '?': return stop_reply();
    case 'g':
    case 'G': return answer_registers(packet);
    case 'p':
    case 'P': return answer_one_register(packet);
    case 'm': return answer_read_memory(rest);
    case 'M':
    case 'X': return answer_write_memory(packet);
    case 'Z':
    case 'z': return answer_breakpoint(packet);
    case 'H': return answer_select(rest);
    case 'T': return answer_alive(rest);
    case 'c': return answer_resume(Action::Continue, rest);
    case 's': return answer_resume(Action::Step, rest);
    case 'v': return answer_vcont(rest);
    case 'q': return answer_query(rest);
    case 'Q': return answer_set(rest);
    case 'D':
      target_.detach();
      send(kOk);
      state_ = State::Over;
      return std::nullopt;
    case 'k':
      target_.kill();
      state_ = State::Over;
      return std::nullopt;
    default: return "";
  }
}

std::string Session::stop_reply() const {
  if (last_stop_.reason == StopReason::Ended) {
    char text[8];
    std::snprintf(text, sizeof text, "W%02x", last_stop_.code & 0xff);
    return text;
  }
  if (last_stop_.reason == StopReason::Lost) return "X09";
  char text[8];
  std::snprintf(text, sizeof text, "T%02x", signal_of(last_stop_.reason));
  std::string reply = text;
  reply += "thread:" + thread_id(last_stop_.vcpu) + ";";
  if (last_stop_.reason == StopReason::Breakpoint) reply += "swbreak:;";
  return reply;
}

std::string Session::answer_registers(std::string_view packet) {
  auto registers = target_.read_registers(selected_);
  if (!registers) return kNoThread;
  if (packet[0] == 'g') return all_registers_hex(*registers);
  const auto bytes = from_hex(packet.substr(1));
  if (!bytes || !set_all_registers(*registers, *bytes)) return kBadArguments;
  return target_.write_registers(selected_, *registers) ? kOk : kOver;
}

std::string Session::answer_one_register(std::string_view packet) {
  std::string_view rest = packet.substr(1);
  const auto number = parse_hex(take_until(rest, '='));
  if (!number) return kBadArguments;
  auto registers = target_.read_registers(selected_);
  if (!registers) return kNoThread;
  if (packet[0] == 'p') return register_hex(*registers, *number).value_or(kBadArguments);
  const auto bytes = from_hex(rest);
  if (!bytes || !set_register(*registers, *number, *bytes)) return kBadArguments;
  return target_.write_registers(selected_, *registers) ? kOk : kOver;
}

std::string Session::answer_read_memory(std::string_view arguments) {
  const auto range = parse_range(arguments);
  if (!range) return kBadArguments;
  std::string bytes(std::min<uint64_t>(range->bytes, kReadMax), '\0');
  const size_t got = target_.read_memory(selected_, GuestVirt(range->address),
                                         {reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()});
  if (got == 0 && !bytes.empty()) return kNoMemory;
  return to_hex(std::string_view(bytes).substr(0, got));
}

std::string Session::answer_write_memory(std::string_view packet) {
  std::string_view rest = packet.substr(1);
  const auto range = parse_range(take_until(rest, ':'));
  if (!range) return kBadArguments;
  std::optional<std::string> bytes(rest);
  if (packet[0] == 'M') bytes = from_hex(rest);
  if (!bytes || bytes->size() != range->bytes) return kBadArguments;
  if (bytes->empty()) return kOk;  // GDB's probe whether X is known
  return target_.write_memory(selected_, GuestVirt(range->address), bytes_of(*bytes)) ? kOk : kNoMemory;
}

std::string Session::answer_breakpoint(std::string_view packet) {
  std::string_view rest = packet.substr(1);
  const std::string_view kind = take_until(rest, ',');
  // 1, hardware breakpoints: the same to the guest, which does not write into its code.  No watchpoints: GDB falls back to
  // single steps.
  if (kind != "0" && kind != "1") return "";
  const auto address = parse_hex(take_until(rest, ','));
  if (!address) return kBadArguments;
  const size_t which = kind == "1";
  const bool insert = packet[0] == 'Z', in_other = breakpoints_[1 - which].count(*address) > 0;
  const GuestVirt at(*address);
  if (insert && breakpoints_[which].size() >= dsm::kDebugBreakpointsMax) return kNoMemory;
  if (insert && !target_.insert_breakpoint(selected_, at)) return kNoMemory;
  if (!insert && !in_other && !target_.remove_breakpoint(selected_, at)) return kNoMemory;
  insert ? (void)breakpoints_[which].insert(*address) : (void)breakpoints_[which].erase(*address);
  return kOk;
}

std::optional<VcpuId> Session::thread_named(std::string_view id) {
  const auto number = parse_hex(id);
  if (!number || *number == 0) return std::nullopt;
  for (const ThreadInfo& thread : target_.threads())
    if (uint64_t{thread.vcpu.value()} + 1 == *number) return thread.vcpu;
  return std::nullopt;
}

std::string Session::answer_select(std::string_view packet) {
  if (packet.empty()) return kBadArguments;
  const std::string_view id = packet.substr(1);
  if (id == "-1" || id == "0") return kOk;  // any, all: as it is
  const auto thread = thread_named(id);
  if (!thread) return kNoThread;
  selected_ = *thread;
  return kOk;
}

std::string Session::answer_alive(std::string_view id) { return thread_named(id) ? kOk : kNoThread; }

bool Session::start(std::span<const VcpuAction> actions) {
  if (actions.empty() || !target_.resume(actions)) return false;
  state_ = State::Running;
  return true;
}

// The old packets c and s: the selected CPU does it, the others continue.
std::optional<std::string> Session::answer_resume(Action action, std::string_view address) {
  if (!address.empty()) return kBadArguments;  // "continue at": GDB sets the register instead
  std::vector<VcpuAction> actions;
  for (const ThreadInfo& thread : target_.threads())
    actions.push_back({thread.vcpu, thread.vcpu == selected_ ? action : Action::Continue});
  if (!start(actions)) return kOver;
  return std::nullopt;
}

// `c`, `C05`, `s:1`, ...; the leftmost that names a thread, or no thread, holds for it.
std::optional<std::vector<VcpuAction>> Session::parse_actions(std::string_view list) {
  const std::vector<ThreadInfo> threads = target_.threads();
  std::vector<std::optional<Action>> chosen(threads.size());
  while (!list.empty()) {
    std::string_view one = take_until(list, ';');
    const std::string_view what = take_until(one, ':');
    if (what.empty()) return std::nullopt;
    std::optional<Action> action;
    if (what[0] == 'c' || what[0] == 'C') action = Action::Continue;
    if (what[0] == 's' || what[0] == 'S') action = Action::Step;
    if (!action) return std::nullopt;
    const auto number = parse_hex(one);
    if (!one.empty() && one != "-1" && !number) return std::nullopt;
    for (size_t i = 0; i < threads.size(); ++i) {
      const bool named = one.empty() || one == "-1" || *number == uint64_t{threads[i].vcpu.value()} + 1;
      if (named && !chosen[i]) chosen[i] = action;
    }
  }
  std::vector<VcpuAction> actions;
  for (size_t i = 0; i < threads.size(); ++i)
    if (chosen[i]) actions.push_back({threads[i].vcpu, *chosen[i]});
  return actions;
}

std::optional<std::string> Session::answer_vcont(std::string_view packet) {
  if (packet == "Cont?") return "vCont;c;C;s;S";
  if (take_prefix(packet, "Kill")) {
    target_.kill();
    send(kOk);
    state_ = State::Over;
    return std::nullopt;
  }
  if (!take_prefix(packet, "Cont;")) return "";
  const auto actions = parse_actions(packet);
  if (!actions || actions->empty()) return kBadArguments;
  if (!start(*actions)) return kOver;
  return std::nullopt;
}

std::optional<std::string> Session::answer_query(std::string_view packet) {
  if (take_prefix(packet, "Supported"))
    return "PacketSize=" + hex_number(kPacketMax) +
           ";QStartNoAckMode+;qXfer:features:read+;qXfer:threads:read+;swbreak+;vContSupported+";
  if (packet == "C") return "QC" + thread_id(selected_);
  if (packet == "fThreadInfo" || packet == "sThreadInfo") return answer_thread_list(packet);
  if (take_prefix(packet, "ThreadExtraInfo,")) return answer_extra_info(packet);
  if (take_prefix(packet, "Xfer:")) return answer_transfer(packet);
  if (take_prefix(packet, "Rcmd,")) return answer_monitor(packet);
  if (packet == "Attached" || packet.starts_with("Attached:")) return "1";
  if (packet.starts_with("Symbol:")) return kOk;
  return "";
}

std::string Session::answer_set(std::string_view packet) {
  if (packet == "StartNoAckMode") {
    stop_ack_mode_ = true;  // from GDB's acknowledgement of this answer on
    return kOk;
  }
  return "";
}

std::string Session::answer_thread_list(std::string_view packet) {
  if (packet == "sThreadInfo") return "l";
  std::string list = "m";
  for (const ThreadInfo& thread : target_.threads()) {
    if (list.size() > 1) list += ",";
    list += thread_id(thread.vcpu);
  }
  return list.size() > 1 ? list : "l";
}

std::string Session::answer_extra_info(std::string_view id) {
  const auto wanted = thread_named(id);
  if (!wanted) return kNoThread;
  for (const ThreadInfo& thread : target_.threads())
    if (thread.vcpu == *wanted)
      return to_hex(thread.detail.empty() ? thread.name : thread.name + ": " + thread.detail);
  return kNoThread;
}

std::string Session::threads_xml() {
  std::string xml = "<?xml version=\"1.0\"?><threads>";
  for (const ThreadInfo& thread : target_.threads())
    xml += "<thread id=\"" + thread_id(thread.vcpu) + "\" core=\"" + std::to_string(thread.vcpu.value()) +
           "\" name=\"" + xml_escaped(thread.name) + "\">" + xml_escaped(thread.detail) + "</thread>";
  return xml + "</threads>";
}

std::string Session::answer_transfer(std::string_view arguments) {
  if (take_prefix(arguments, "features:read:target.xml:")) {
    const auto range = parse_range(arguments);
    return range ? piece_of(target_description(), *range) : kBadArguments;
  }
  if (take_prefix(arguments, "threads:read::")) {
    const auto range = parse_range(arguments);
    if (!range) return kBadArguments;
    if (range->address == 0) threads_xml_ = threads_xml();
    return piece_of(threads_xml_, *range);
  }
  return arguments.starts_with("features:read:") ? "E00" : "";
}

std::string Session::answer_monitor(std::string_view hex) {
  const auto command = from_hex(hex);
  if (!command) return kBadArguments;
  std::string text = target_.monitor(*command);
  if (text.empty()) return kOk;
  if (text.back() != '\n') text += '\n';
  constexpr size_t kPiece = kPacketMax / 2 - 16;
  for (size_t at = 0; at < text.size(); at += kPiece)
    send("O" + to_hex(std::string_view(text).substr(at, kPiece)));
  return kOk;
}

}  // namespace pando::gdb
