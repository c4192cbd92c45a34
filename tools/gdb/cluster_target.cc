// SPDX-License-Identifier: Apache-2.0
#include "tools/gdb/cluster_target.h"

#include <guest_abi/layout.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace pando::gdb {

namespace {

using dsm::DebugOperation;
using dsm::DebugRegisters;
using dsm::DebugVcpu;
using dsm::DebugWhere;

constexpr std::chrono::milliseconds kGreetLimit{5000};
constexpr size_t kEventsMax = 1024;
constexpr size_t kCodeBytes = 64;  // that must not have changed for a breakpoint to be put back
constexpr size_t kKnownCodeMax = 2 * dsm::kDebugBreakpointsMax;

bool good(const std::optional<v1::DebugReply>& reply) { return reply && reply->status() == 0; }

template <class T>
std::string packed(const std::vector<T>& items) {
  return std::string(reinterpret_cast<const char*>(items.data()), items.size() * sizeof(T));
}

StopReason reason_of(const v1::ExitStatus& exit) {
  switch (exit.reason()) {
    case v1::EXIT_PANIC: return StopReason::Panic;
    case v1::EXIT_POWER_OFF:
    case v1::EXIT_REBOOT:
    case v1::EXIT_HALT: return StopReason::Ended;
    case v1::EXIT_VMM_DIED: return StopReason::Dead;
    default: return StopReason::Lost;
  }
}

Registers from_wire(const DebugRegisters& wire) {
  Registers r;
  std::copy(std::begin(wire.general), std::end(wire.general), r.general.begin());
  r.general[kRip] = wire.rip;
  r.general[kEflags] = wire.eflags;
  r.general[kEflags + 1] = wire.cs;
  r.general[kEflags + 2] = wire.ss;
  r.fs_base = wire.fs_base;
  r.gs_base = wire.gs_base;
  return r;
}

DebugRegisters to_wire(const Registers& r) {
  DebugRegisters wire{};
  std::copy_n(r.general.begin(), std::size(wire.general), std::begin(wire.general));
  wire.rip = r.general[kRip];
  wire.eflags = r.general[kEflags];
  wire.cs = r.general[kEflags + 1];
  wire.ss = r.general[kEflags + 2];
  wire.fs_base = r.fs_base;
  wire.gs_base = r.gs_base;
  return wire;
}

}  // namespace

ClusterTarget::ClusterTarget(ClusterAccess access, const observe::KernelImage& image)
    : access_(std::move(access)), image_(image) {
  event_fd_.reset(static_cast<int>(check_errno(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd")));
  connect();
}

ClusterTarget::~ClusterTarget() = default;

void ClusterTarget::connect() {
  nodes_.clear();
  ram_bytes_ = 0;
  ended_.reset();
  pending_stop_.reset();
  {
    // Of sessions before this one: their reader threads have ended.
    const std::lock_guard guard(events_mutex_);
    events_.clear();
  }
  for (const NodeAddress& address : access_.nodes)
    nodes_.push_back({std::make_unique<DebugLink>(address, access_.tls,
                                                  [this](uint32_t n, const v1::DebugReply& e) { on_event(n, e); }),
                      {}});
  for (Node& node : nodes_) {
    node.info.CopyFrom(node.link->greet(kGreetLimit));  // GCC 12 sees uninitialized members in a move
    ram_bytes_ = std::max(ram_bytes_, node.info.ram_start() + node.info.ram_bytes());
    if (node.info.has_exit()) on_exit(node.info.exit());
  }
}

void ClusterTarget::on_event(uint32_t node, const v1::DebugReply& event) {
  {
    const std::lock_guard guard(events_mutex_);
    if (events_.size() >= kEventsMax) events_.pop_front();
    events_.push_back({node, event});
  }
  ring();
}

void ClusterTarget::ring() {
  const uint64_t one = 1;
  (void)!write(event_fd_.get(), &one, sizeof one);
}

std::optional<StopEvent> ClusterTarget::attach() {
  const bool all_alive =
      !nodes_.empty() && std::all_of(nodes_.begin(), nodes_.end(), [](const Node& n) { return n.link->alive(); });
  if (!all_alive) connect();
  if (!stop_all()) return std::nullopt;
  if (!ended_) return StopEvent{StopReason::Asked, any_vcpu(), 0};
  ended_->vcpu = ended_->reason == StopReason::Panic ? panicked_vcpu() : any_vcpu();
  return ended_;
}

void ClusterTarget::on_exit(const v1::ExitStatus& exit) {
  if (ended_) return;
  ended_ = StopEvent{reason_of(exit), any_vcpu(), exit.code(), exit.message()};
  if (ended_->reason == StopReason::Panic) ended_->text += ": it can be looked at, it does not go on";
  if (ended_->reason == StopReason::Dead) ended_->text += ": memory can be read, nothing else";
}

// The sessions end: the agents make their nodes put back the bytes under breakpoints, and run.
void ClusterTarget::detach() {
  for (const auto& [address, breakpoint] : breakpoints_)
    write_physical(breakpoint.at, std::span(&breakpoint.original, 1), 0);
  breakpoints_.clear();
  known_code_.clear();
  for (Node& node : nodes_) node.link->close();
  nodes_.clear();
  vcpus_.clear();
  forget_memory();
  const std::lock_guard guard(events_mutex_);
  events_.clear();
}

void ClusterTarget::kill() {
  if (access_.kill) access_.kill();
  detach();
}

VcpuId ClusterTarget::any_vcpu() const {
  for (const auto& [id, vcpu] : vcpus_)
    if (vcpu.state.where != DebugWhere::NotStarted) return VcpuId(id);
  return VcpuId(0);
}

const ClusterTarget::VcpuState* ClusterTarget::find(VcpuId vcpu) const {
  const auto found = vcpus_.find(vcpu.value());
  return found == vcpus_.end() ? nullptr : &found->second;
}

void ClusterTarget::learn_vcpus(size_t node, const std::string& data) {
  for (size_t at = 0; at + sizeof(DebugVcpu) <= data.size(); at += sizeof(DebugVcpu)) {
    VcpuState vcpu{node, {}};
    std::memcpy(&vcpu.state, data.data() + at, sizeof vcpu.state);
    vcpus_[vcpu.state.vcpu] = vcpu;
  }
}

bool ClusterTarget::stop_all() {
  std::vector<uint32_t> calls;
  for (Node& node : nodes_) calls.push_back(node.link->begin(DebugOperation::Stop));
  vcpus_.clear();
  forget_memory();
  bool any = false;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    const auto reply = nodes_[i].link->finish(calls[i]);
    if (!reply) continue;
    any = true;
    learn_vcpus(i, reply->data());
  }
  // What was hit before this stop was complete: RIP is at it, it is hit again after a resume.
  const std::lock_guard guard(events_mutex_);
  std::erase_if(events_, [](const NodeEvent& e) {
    return e.reply.operation() == static_cast<uint32_t>(DebugOperation::Stopped);
  });
  return any;
}

std::vector<ThreadInfo> ClusterTarget::threads() {
  std::vector<ThreadInfo> list;
  for (const auto& [id, vcpu] : vcpus_) {
    // Before boot there is one at least: GDB wants something to look at.
    if (vcpu.state.where == DebugWhere::NotStarted && id != 0) continue;
    list.push_back({VcpuId(id), "cpu" + std::to_string(id) + " (node " + nodes_[vcpu.node].info.name() + ")",
                    task_of(vcpu)});
  }
  if (list.empty()) list.push_back({VcpuId(0), "cpu0", "no virtual CPU answers"});
  return list;
}

std::optional<Registers> ClusterTarget::read_registers(VcpuId id) {
  const VcpuState* vcpu = find(id);
  if (!vcpu || vcpu->state.where == DebugWhere::NotStarted) return Registers{};
  const auto reply = nodes_[vcpu->node].link->ask(DebugOperation::ReadRegisters, id.value());
  DebugRegisters wire;
  if (!good(reply) || reply->data().size() < sizeof wire) return std::nullopt;
  std::memcpy(&wire, reply->data().data(), sizeof wire);
  Registers registers = from_wire(wire);
  registers.xsave.assign(reply->data().begin() + sizeof wire, reply->data().end());
  return registers;
}

bool ClusterTarget::write_registers(VcpuId id, const Registers& registers) {
  const VcpuState* vcpu = find(id);
  if (!vcpu) return false;
  const DebugRegisters wire = to_wire(registers);
  std::string data(reinterpret_cast<const char*>(&wire), sizeof wire);
  data.append(registers.xsave.begin(), registers.xsave.end());
  return good(nodes_[vcpu->node].link->ask(DebugOperation::WriteRegisters, id.value(), 0, 0, std::move(data)));
}

bool ClusterTarget::send_breakpoints() {
  std::vector<dsm::DebugBreakpoint> list;
  for (const auto& [address, breakpoint] : breakpoints_)
    list.push_back({address, breakpoint.at.value(), breakpoint.original});
  std::vector<uint32_t> calls;
  for (Node& node : nodes_) calls.push_back(node.link->begin(DebugOperation::SetBreakpoints, 0, 0, 0, packed(list)));
  bool all = true;
  for (size_t i = 0; i < nodes_.size(); ++i) all &= good(nodes_[i].link->finish(calls[i]));
  return all;
}

const ClusterTarget::Breakpoint* ClusterTarget::breakpoint_at(GuestPhys at, uint64_t except) const {
  for (const auto& [address, breakpoint] : breakpoints_)
    if (breakpoint.at == at && address != except) return &breakpoint;
  return nullptr;
}

void ClusterTarget::hide_breakpoints(GuestPhys at, std::span<uint8_t> bytes) const {
  for (const auto& [address, breakpoint] : breakpoints_) {
    const uint64_t offset = breakpoint.at.value() - at.value();
    if (offset < bytes.size()) bytes[offset] = breakpoint.original;
  }
}

void ClusterTarget::remember_code(GuestVirt address, GuestPhys at) {
  std::vector<uint8_t> bytes(std::min<uint64_t>(kCodeBytes, kPageSize - at.value() % kPageSize));
  if (!read_physical(at, bytes, 0)) return;
  hide_breakpoints(at, bytes);
  if (known_code_.size() >= kKnownCodeMax) known_code_.clear();
  known_code_[address.value()] = {at, std::move(bytes)};
}

// User code may belong to a task that is current on another virtual CPU, or on none: then it is where it was, if it
// still looks the same.
std::optional<GuestPhys> ClusterTarget::find_code(VcpuId vcpu, GuestVirt address) {
  if (const auto at = translate(vcpu, address)) return at;
  const auto known = known_code_.find(address.value());
  if (known != known_code_.end()) {
    std::vector<uint8_t> now(known->second.bytes.size());
    const bool readable = read_physical(known->second.at, now, 0);
    hide_breakpoints(known->second.at, now);
    if (readable && now == known->second.bytes) return known->second.at;
  }
  for (const auto& [id, other] : vcpus_)
    if (const auto at = translate(VcpuId(id), address)) return at;
  return std::nullopt;
}

bool ClusterTarget::insert_breakpoint(VcpuId vcpu, GuestVirt address) {
  if (breakpoints_.count(address.value())) return true;
  const auto at = find_code(vcpu, address);
  uint8_t original = 0;
  const size_t node = find(vcpu) ? find(vcpu)->node : 0;
  if (!at || breakpoints_.size() >= dsm::kDebugBreakpointsMax || !read_physical(*at, {&original, 1}, node)) return false;
  hide_breakpoints(*at, {&original, 1});  // one that another address leads to
  remember_code(address, *at);
  breakpoints_[address.value()] = {*at, original};
  // All nodes know it before the first can hit it.
  if (send_breakpoints() && write_physical(*at, std::span(&dsm::kBreakpointOpcode, 1), node)) return true;
  breakpoints_.erase(address.value());
  send_breakpoints();
  return false;
}

bool ClusterTarget::remove_breakpoint(VcpuId vcpu, GuestVirt address) {
  const auto found = breakpoints_.find(address.value());
  if (found == breakpoints_.end()) return true;
  const size_t node = find(vcpu) ? find(vcpu)->node : 0;
  uint8_t now = 0;
  // The page of a user program may have been given to somebody else meanwhile.
  if (!breakpoint_at(found->second.at, found->first) && read_physical(found->second.at, {&now, 1}, node) &&
      now == dsm::kBreakpointOpcode && !write_physical(found->second.at, std::span(&found->second.original, 1), node))
    return false;
  breakpoints_.erase(found);
  return send_breakpoints();
}

bool ClusterTarget::resume(std::span<const VcpuAction> actions) {
  if (ended_ && ended_->reason == StopReason::Panic) {
    pending_stop_ = ended_;  // it stops anew, where it is
    ring();
    return true;
  }
  if (ended_) return false;
  std::vector<std::vector<dsm::DebugAction>> by_node(nodes_.size());
  for (const VcpuAction& action : actions)
    if (const VcpuState* vcpu = find(action.vcpu))
      by_node[vcpu->node].push_back({action.vcpu.value(), static_cast<uint16_t>(action.action == Action::Step)});
  // GDB does not know of those that the guest may start now: they must not wait for it.
  if (std::ranges::any_of(actions, [](const VcpuAction& a) { return a.action == Action::Continue; }))
    for (const auto& [id, vcpu] : vcpus_)
      if (vcpu.state.where == DebugWhere::NotStarted) by_node[vcpu.node].push_back({id, 0});
  forget_memory();
  std::vector<uint32_t> calls(nodes_.size(), 0);
  for (size_t i = 0; i < nodes_.size(); ++i)
    if (!by_node[i].empty()) calls[i] = nodes_[i].link->begin(DebugOperation::Resume, 0, 0, 0, packed(by_node[i]));
  bool all = true;
  for (size_t i = 0; i < nodes_.size(); ++i)
    if (!by_node[i].empty()) all &= good(nodes_[i].link->finish(calls[i]));
  return all;
}

void ClusterTarget::interrupt() {
  const VcpuId before = any_vcpu();
  if (stop_all()) pending_stop_ = StopEvent{StopReason::Asked, find(before) ? before : any_vcpu(), 0};
  ring();
}

std::optional<StopEvent> ClusterTarget::take_stop() {
  uint64_t count = 0;
  (void)!read(event_fd_.get(), &count, sizeof count);
  std::deque<NodeEvent> events;
  {
    const std::lock_guard guard(events_mutex_);
    events.swap(events_);
  }
  std::optional<StopEvent> stop = std::exchange(pending_stop_, std::nullopt);
  // The first that happened is told; what others have hit meanwhile they will hit again.
  for (const NodeEvent& event : events) {
    const auto one = stop_of(event);
    if (one && (!stop || stop->reason == StopReason::Asked)) stop = one;
  }
  return stop;
}

std::optional<StopEvent> ClusterTarget::stop_of(const NodeEvent& event) {
  if (event.reply.operation() == static_cast<uint32_t>(DebugOperation::Stopped)) {
    stop_all();
    const bool step = event.reply.status() == static_cast<int32_t>(dsm::DebugStop::Step);
    return StopEvent{step ? StopReason::Step : StopReason::Breakpoint,
                     VcpuId(static_cast<uint16_t>(event.reply.vcpu())), 0};
  }
  if (event.reply.node().has_exit()) {
    if (ended_) return std::nullopt;  // another node has said so
    stop_all();
    on_exit(event.reply.node().exit());
    if (ended_->reason == StopReason::Panic) ended_->vcpu = panicked_vcpu();
    return ended_;
  }
  if (event.reply.operation() == 0 && !ended_) {
    ended_ = StopEvent{StopReason::Lost, any_vcpu(), 0};
    return ended_;
  }
  return std::nullopt;
}

}  // namespace pando::gdb
