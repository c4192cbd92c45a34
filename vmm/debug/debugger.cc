// SPDX-License-Identifier: Apache-2.0
#include "vmm/debug/debugger.h"

#include <pthread.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/futex.h"
#include "base/log.h"
#include "vmm/debug/register_file.h"
#include "vmm/guest_memory.h"
#include "vmm/vcpu.h"

namespace pando::vmm {

namespace {

using dsm::DebugAction;
using dsm::DebugHeader;
using dsm::DebugOperation;
using dsm::DebugVcpu;
using dsm::DebugWhere;

constexpr size_t kQueueMax = 64;
constexpr auto kIdleWait = std::chrono::seconds(1);   // bounds a sleep; nothing depends on it
constexpr auto kDepartureCheck = std::chrono::milliseconds(100);
constexpr auto kStopLimit = std::chrono::seconds(5);  // a vCPU may be waiting for a page or for another node

thread_local GuestMemory* debug_thread_memory = nullptr;

template <class T>
void append(std::vector<uint8_t>& out, const T& value) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(&value);
  out.insert(out.end(), bytes, bytes + sizeof value);
}

}  // namespace

Debugger::Debugger(dsm::NodeClient& client, GuestMemory& memory, const std::vector<std::unique_ptr<Vcpu>>& vcpus)
    : client_(client), memory_(memory), vcpus_(vcpus) {}

Debugger::~Debugger() {
  ending_ = true;
  ring();
  if (thread_.joinable()) thread_.join();
}

GuestMemory* Debugger::thread_memory() { return debug_thread_memory; }

void Debugger::stop_at_start() {
  for (const auto& vcpu : vcpus_)
    if (vcpu) vcpu->debug.want = 1;
}

void Debugger::ring() {
  bell_.fetch_add(1);
  futex_wake(bell_, 1);
}

void Debugger::on_message(dsm::FabricMessage message) {
  Message m;
  if (message.from != client_.layout().self || message.payload.size() < sizeof m.header ||
      message.payload.size() > sizeof m.header + dsm::kDebugDataMax)
    return;
  std::memcpy(&m.header, message.payload.data(), sizeof m.header);
  m.data.assign(message.payload.begin() + sizeof m.header, message.payload.end());
  {
    const std::lock_guard guard(queue_mutex_);
    if (queue_.size() >= kQueueMax) return;  // the debugger runs into its time-out
    queue_.push_back(std::move(m));
  }
  if (!thread_.joinable()) {
    thread_ = std::thread([this] { serve(); });
    pthread_setname_np(thread_.native_handle(), "debug");
  }
  ring();
}

void Debugger::serve() {
  debug_thread_memory = &memory_;
  while (!ending_) {
    const uint32_t seen = bell_.load();
    try {
      tell_hits();
      if (!handle_next()) futex_wait(bell_, seen, kIdleWait);
    } catch (const HostError& error) {  // no room in the fabric ring: the debugger runs into its time-out
      spdlog::error("debugger-message-failed reason=\"{}\"", error.what());
    }
  }
}

// False: nothing waits.
bool Debugger::handle_next() {
  Message message;
  {
    const std::lock_guard guard(queue_mutex_);
    if (queue_.empty()) return false;
    message = std::move(queue_.front());
    queue_.pop_front();
  }
  handle(message);
  return true;
}

void Debugger::handle(const Message& message) {
  const DebugHeader& request = message.header;
  DebugHeader reply{request.sequence, request.operation, request.vcpu, 0, 0, request.address};
  std::vector<uint8_t> out;
  switch (static_cast<DebugOperation>(request.operation)) {
    case DebugOperation::Stop:
      reply.status = stop_all();
      forget_hits();
      out = describe_vcpus();
      break;
    case DebugOperation::Resume: reply.status = resume(message.data); break;
    case DebugOperation::Detach: detach(); break;
    case DebugOperation::Vcpus: out = describe_vcpus(); break;
    case DebugOperation::ReadRegisters: reply.status = read_registers(request.vcpu, out); break;
    case DebugOperation::WriteRegisters: reply.status = write_registers(request.vcpu, message.data); break;
    case DebugOperation::ReadPhysical: reply.status = read_physical(request.address, request.bytes, out); break;
    case DebugOperation::WritePhysical: reply.status = write_physical(request.address, message.data); break;
    case DebugOperation::SetBreakpoints: reply.status = set_breakpoints(message.data); break;
    default: reply.status = -ENOSYS;
  }
  send(reply, out);
}

void Debugger::send(const DebugHeader& header, std::span<const uint8_t> data) {
  std::vector<uint8_t> payload;
  DebugHeader h = header;
  h.bytes = static_cast<uint32_t>(data.size());
  append(payload, h);
  payload.insert(payload.end(), data.begin(), data.end());
  client_.send(client_.layout().self, dsm::FabricKind::Debug, payload);
}

// Stops the whole node for what one of its vCPUs has hit, then says so.
void Debugger::tell_hits() {
  for (const auto& vcpu : vcpus_) {
    if (!vcpu || vcpu->debug.hit.load() == 0) continue;
    stop_all();
    const int32_t stop = vcpu->debug.hit.exchange(0);
    forget_hits();
    std::vector<uint8_t> registers;
    const DebugHeader event{0, static_cast<uint16_t>(DebugOperation::Stopped), vcpu->id.value(), stop, 0, 0};
    send(event, registers);
    return;
  }
}

// What has not been told when the node is stopped: RIP is at it, so it is hit again when the vCPU goes on.
void Debugger::forget_hits() {
  for (const auto& vcpu : vcpus_)
    if (vcpu) vcpu->debug.hit = 0;
}

int32_t Debugger::stop_all() {
  for (const auto& vcpu : vcpus_) {
    if (!vcpu) continue;
    vcpu->debug.want = 1;  // before the loads in kick()
    if (vcpu->started && !vcpu->debug.parked) vcpu->kick();
  }
  const auto until = std::chrono::steady_clock::now() + kStopLimit;
  for (;;) {
    const uint32_t seen = bell_.load();
    const bool all = std::all_of(vcpus_.begin(), vcpus_.end(), [](const auto& v) {
      return !v || !v->started || v->debug.parked.load(std::memory_order_acquire);
    });
    if (all) return 0;
    if (std::chrono::steady_clock::now() > until) return -ETIMEDOUT;
    futex_wait(bell_, seen, std::chrono::milliseconds(100));
  }
}

// Wakes a parked vCPU and waits until it has left: nobody may see the old registers as current.
void Debugger::release(Vcpu& vcpu) {
  VcpuDebug& d = vcpu.debug;
  const uint32_t departures = d.departures.load();
  const bool was_parked = d.parked.load(std::memory_order_acquire) != 0;
  d.want = 0;
  futex_wake(d.want, 1);
  if (!was_parked) return;
  while (d.departures.load() == departures) futex_wait(d.departures, departures, kDepartureCheck);
}

int32_t Debugger::resume(std::span<const uint8_t> data) {
  if (data.size() % sizeof(DebugAction) != 0) return -EINVAL;
  std::vector<DebugAction> actions(data.size() / sizeof(DebugAction));
  if (!actions.empty()) std::memcpy(actions.data(), data.data(), data.size());
  for (const DebugAction& action : actions)
    if (action.vcpu >= vcpus_.size() || !vcpus_[action.vcpu]) return -EINVAL;
  for (const DebugAction& action : actions) {
    Vcpu& vcpu = *vcpus_[action.vcpu];
    vcpu.debug.step_next = action.step ? 1 : 0;
    release(vcpu);
  }
  return 0;
}

void Debugger::detach() {
  restore_bytes();
  breakpoint_count_ = 0;
  user_steps_ = 0;
  forget_hits();
  for (const auto& vcpu : vcpus_) {
    if (!vcpu) continue;
    vcpu->debug.step_next = 0;
    release(*vcpu);
  }
}

int32_t Debugger::set_breakpoints(std::span<const uint8_t> data) {
  const size_t count = data.size() / sizeof(dsm::DebugBreakpoint);
  if (data.size() % sizeof(dsm::DebugBreakpoint) != 0 || count > breakpoints_.size()) return -EINVAL;
  breakpoint_bytes_.resize(count);
  if (count > 0) std::memcpy(breakpoint_bytes_.data(), data.data(), data.size());
  for (size_t i = 0; i < count; ++i) breakpoints_[i] = breakpoint_bytes_[i].virtual_address;
  breakpoint_count_ = static_cast<uint32_t>(count);
  return 0;
}

// The debugger went away without doing it itself.  Every node does it: the second finds nothing to do.
void Debugger::restore_bytes() {
  for (const dsm::DebugBreakpoint& b : breakpoint_bytes_) {
    if (!memory_.contains_physical(GuestPhys(b.physical_address), 1)) continue;
    const uint64_t at = PANDO_RAM_BASE + b.physical_address;
    const auto original = static_cast<uint8_t>(b.original);
    if (memory_.read<uint8_t>(at) == dsm::kBreakpointOpcode) memory_.copy_to_guest(at, &original, 1);
  }
  breakpoint_bytes_.clear();
}

std::vector<uint8_t> Debugger::describe_vcpus() {
  std::vector<uint8_t> out;
  for (const auto& vcpu : vcpus_) {
    if (!vcpu) continue;
    DebugVcpu d{};
    d.vcpu = vcpu->id.value();
    const bool parked = vcpu->debug.parked.load(std::memory_order_acquire);
    d.where = parked ? vcpu->debug.where : vcpu->started ? DebugWhere::Running : DebugWhere::NotStarted;
    d.current_task = vcpu->block.current_task;
    d.percpu_offset = vcpu->block.percpu_offset;
    d.mm = d.where == DebugWhere::User ? vcpu->debug.mm.value() : 0;
    append(out, d);
  }
  return out;
}

Vcpu* Debugger::parked_vcpu(uint16_t id) {
  if (id >= vcpus_.size() || !vcpus_[id]) return nullptr;
  return vcpus_[id]->debug.parked.load(std::memory_order_acquire) ? vcpus_[id].get() : nullptr;
}

int32_t Debugger::read_registers(uint16_t id, std::vector<uint8_t>& out) {
  const Vcpu* vcpu = parked_vcpu(id);
  if (!vcpu) return -EBUSY;
  append(out, debug_registers_of(*vcpu));
  if (vcpu->debug.where == DebugWhere::User) append_fpu(*vcpu, out);
  return 0;
}

int32_t Debugger::write_registers(uint16_t id, std::span<const uint8_t> data) {
  Vcpu* vcpu = parked_vcpu(id);
  if (!vcpu) return -EBUSY;
  dsm::DebugRegisters registers;
  if (data.size() < sizeof registers) return -EINVAL;
  std::memcpy(&registers, data.data(), sizeof registers);
  set_debug_registers(*vcpu, registers);
  if (vcpu->debug.where == DebugWhere::User) set_fpu(*vcpu, data.subspan(sizeof registers));
  return 0;
}

int32_t Debugger::read_physical(uint64_t address, uint32_t bytes, std::vector<uint8_t>& out) {
  if (bytes > kPageSize - address % kPageSize || !memory_.contains_physical(GuestPhys(address), bytes))
    return -EFAULT;
  out.resize(bytes);
  return memory_.copy_from_guest(out.data(), PANDO_RAM_BASE + address, bytes) ? 0 : -EFAULT;
}

int32_t Debugger::write_physical(uint64_t address, std::span<const uint8_t> data) {
  if (data.size() > kPageSize - address % kPageSize || !memory_.contains_physical(GuestPhys(address), data.size()))
    return -EFAULT;
  return memory_.copy_to_guest(PANDO_RAM_BASE + address, data.data(), data.size()) ? 0 : -EFAULT;
}

}  // namespace pando::vmm
