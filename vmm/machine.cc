// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine.h"

#include <guest_abi/hypercall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/futex.h"
#include "base/log.h"
#include "vmm/boot_info.h"
#include "vmm/image.h"

namespace pando::vmm {

namespace {

using dsm::FabricKind;

constexpr int kReceiveLimitMs = 1000;
constexpr auto kIdleLimit = std::chrono::seconds(1);

struct IpiMessage {
  uint32_t vcpu;
  uint32_t vector;
  Machine::Wanted wanted;
};

struct LockKickMessage {
  uint32_t vcpu;
};

struct VcpuStartMessage {
  uint64_t vcpu;
  uint64_t entry;
  uint64_t argument;
  GuestEntries entries;
  uint64_t fpu_bytes;  // must be the same on all nodes
};

struct PowerMessage {
  uint32_t kind;
  uint32_t code;
};

template <class T>
std::span<const uint8_t> bytes_of(const T& value) {
  return {reinterpret_cast<const uint8_t*>(&value), sizeof value};
}

template <class T>
bool decode(const dsm::FabricMessage& message, T& out) {
  if (message.payload.size() != sizeof out) return false;
  std::memcpy(&out, message.payload.data(), sizeof out);
  return true;
}

stub::Options stub_options(const Options& options, const dsm::ClusterLayout& layout) {
  stub::Options result;
  result.vcpus = static_cast<int>(std::count(layout.vcpu_node.begin(), layout.vcpu_node.end(), layout.self));
  result.hand_over = options.hand_over;
  return result;
}

}  // namespace

Machine::Machine(const Options& options, std::unique_ptr<dsm::NodeClient> client)
    : client_(std::move(client)),
      spaces_(*client_, stub_options(options, client_->layout())),
      memory_(*client_),
      console_(*client_),
      vcpus_(client_->layout().vcpu_node.size()),
      shootdown_(*client_, memory_, spaces_, vcpus_),
      debugger_(*client_, memory_, vcpus_) {
  int index = 0;
  for (size_t i = 0; i < vcpus_.size(); ++i) {
    const VcpuId id(static_cast<uint16_t>(i));
    if (is_local(id)) vcpus_[i] = std::make_unique<Vcpu>(this, id, index++);
  }
  if (options.wait_debugger) debugger_.stop_at_start();
  load(options);
}

Machine::~Machine() = default;

void Machine::load(const Options& options) {
  const Image image = Image::read(options.kernel.get(), options.kernel_name);
  for (const Image::Segment& segment : image.segments()) {
    if (!memory_.contains_physical(segment.start, segment.memory_bytes))
      throw UserError(options.kernel_name + ": needs " + std::to_string(image.end().value() >> 20) +
                      " MiB, but the guest has " + std::to_string(memory_.bytes() >> 20) +
                      " MiB of RAM: raise `memory` in the configuration");
    if (!segment.writable)
      client_->preload(segment.start, segment.bytes);
    else if (client_->layout().self == NodeId(0))
      client_->preload_home(segment.start, segment.bytes);
  }
  kernel_entry_ = image.entry();
  if (client_->layout().self != NodeId(0)) return;

  const Mapping initrd = read_initrds(options.initrds);
  const GuestPhys initrd_at = place_initrd(client_->layout(), image.end(), initrd.size());
  if (initrd) client_->preload_home(initrd_at, {initrd.data(), initrd.size()});
  BootInfoInputs inputs;
  inputs.layout = &client_->layout();
  inputs.command_line = options.append;
  inputs.initrd_at = initrd_at;
  inputs.initrd_bytes = initrd.size();
  inputs.fpu_bytes = fpu_bytes();
  inputs.xfeatures = spaces_.xfeatures();
  inputs.fsgsbase = spaces_.fsgsbase();
  const BootInfo boot = make_boot_info(inputs);
  client_->preload_home(GuestPhys(PANDO_BOOT_GPA), bytes_of(boot.info));
  client_->preload_home(GuestPhys(PANDO_CMDLINE_GPA),
                        {reinterpret_cast<const uint8_t*>(options.append.c_str()),
                         options.append.size() + 1});
}

void Machine::run() {
  client_->send(client_->layout().self, FabricKind::Ready, {});
  for (;;) {
    std::optional<dsm::FabricMessage> message = client_->receive(kReceiveLimitMs);
    if (message && !on_message(std::move(*message))) return;
  }
}

bool Machine::on_message(dsm::FabricMessage message) {
  switch (message.kind) {
    case FabricKind::Ipi: on_ipi(message); break;
    case FabricKind::LockKick: on_lock_kick(message); break;
    case FabricKind::VcpuStart: on_vcpu_start(message); break;
    case FabricKind::MmUnmap:
    case FabricKind::MmResync:
    case FabricKind::MmFree:
    case FabricKind::KernelUnmap: shootdown_.on_request(std::move(message)); break;
    case FabricKind::Ack: shootdown_.on_ack(message); break;
    case FabricKind::Debug: debugger_.on_message(std::move(message)); break;
    case FabricKind::ConsoleIn: on_console_input(message); break;
    case FabricKind::Start:
      if (client_->layout().self == NodeId(0))
        start_local(VcpuId(0), kernel_entry_, PANDO_RAM_BASE + PANDO_BOOT_GPA);
      break;
    case FabricKind::Shutdown: return false;
    default: spdlog::warn("fabric-message-ignored kind={}", static_cast<int>(message.kind));
  }
  return true;
}

void Machine::on_ipi(const dsm::FabricMessage& message) {
  IpiMessage ipi;
  if (!decode(message, ipi) || ipi.vcpu >= vcpus_.size() || !vcpus_[ipi.vcpu] ||
      ipi.vector >= PANDO_VEC_MAX)
    return;
  for (const uint64_t at : ipi.wanted)
    if (at != 0 && memory_.contains_physical(GuestPhys(at), 1))
      client_->fetch_ahead(page_of(GuestPhys(at)), VcpuId(static_cast<uint16_t>(ipi.vcpu)));
  vcpus_[ipi.vcpu]->raise(ipi.vector);
}

void Machine::on_lock_kick(const dsm::FabricMessage& message) {
  LockKickMessage kick;
  if (decode(message, kick) && kick.vcpu < vcpus_.size() && vcpus_[kick.vcpu]) vcpus_[kick.vcpu]->kick_lock_waiter();
}

void Machine::on_vcpu_start(const dsm::FabricMessage& message) {
  VcpuStartMessage start;
  if (!decode(message, start) || start.vcpu >= vcpus_.size() || !vcpus_[start.vcpu]) return;
  if (start.fpu_bytes != fpu_bytes())
    fail("this node saves " + std::to_string(fpu_bytes()) + " bytes of FPU state, the first node " +
         std::to_string(start.fpu_bytes) +
         ": the processors differ; run `pando check` and take nodes with the same features");
  entries_ = start.entries;
  start_local(VcpuId(static_cast<uint16_t>(start.vcpu)), start.entry, start.argument);
}

void Machine::on_console_input(const dsm::FabricMessage& message) {
  if (message.payload.empty()) return;
  console_.on_input(message.payload[0], std::span(message.payload).subspan(1));
  for (const auto& vcpu : vcpus_) {
    if (!vcpu) continue;
    vcpu->raise(PANDO_VEC_CONSOLE);
    return;
  }
}

bool Machine::is_local(VcpuId id) const {
  return client_->layout().vcpu_node[id.value()] == client_->layout().self;
}

int64_t Machine::cluster_clock_ns() const {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec + client_->clock_offset_ns();
}

long Machine::set_entries(GuestEntries entries) {
  if (!memory_.contains_virtual(entries.irq) || !memory_.contains_virtual(entries.trap)) return -EFAULT;
  entries_ = entries;
  return 0;
}

long Machine::start_vcpu(VcpuId id, uint64_t entry, uint64_t argument) {
  if (is_local(id)) return start_local(id, entry, argument);
  const VcpuStartMessage start{id.value(), entry, argument, entries_, fpu_bytes()};
  client_->send(client_->layout().vcpu_node[id.value()], FabricKind::VcpuStart, bytes_of(start));
  return 0;
}

long Machine::start_local(VcpuId id, uint64_t entry, uint64_t argument) {
  Vcpu& vcpu = *vcpus_[id.value()];
  if (vcpu.started.exchange(true)) return -EEXIST;
  vcpu.entry = entry;
  vcpu.argument = argument;
  std::thread thread([this, &vcpu] {
    try {
      adopt_thread(vcpu);
    } catch (const std::exception& error) {
      fail(error.what());
    }
    enter_guest(vcpu);
  });
  thread.detach();  // lives until the process exits: a vCPU that runs guest code cannot be joined
  return 0;
}

void Machine::send_ipi(VcpuId id, unsigned vector, const Wanted& wanted) {
  if (is_local(id)) {
    vcpus_[id.value()]->raise(vector);
    return;
  }
  for (const uint64_t at : wanted)
    if (at != 0 && memory_.contains_physical(GuestPhys(at), 1)) client_->end_hold(page_of(GuestPhys(at)));
  const IpiMessage ipi{id.value(), vector, wanted};
  client_->send(client_->layout().vcpu_node[id.value()], FabricKind::Ipi, bytes_of(ipi));
}

template <class Done>
void Machine::sleep_until(Vcpu& vcpu, Done done) {
  spaces_.enter_idle(vcpu.run);
  vcpu.wake.store(0);
  vcpu.idle.store(true);  // before the loads in done(); partner: wake_up() loads it after what done() looks at was set
  while (!done() && !vcpu.debug.attention()) {
    futex_wait(vcpu.wake, 0, kIdleLimit);
    vcpu.wake.store(0);
  }
  vcpu.idle.store(false);
  spaces_.leave_idle(vcpu.run);
}

long Machine::idle(Vcpu& vcpu) {
  client_->set_cpu_area(vcpu.id, vcpu.block.percpu_offset);
  sleep_until(vcpu, [&] { return vcpu.pending().load() != 0; });
  return 0;
}

long Machine::lock_wait(Vcpu& vcpu, LockWait kind) {
  sleep_until(vcpu, [&] {
    return vcpu.lock_kicked.load() || (kind == LockWait::Interruptible && vcpu.pending().load() != 0);
  });
  vcpu.lock_kicked.store(false);
  return 0;
}

void Machine::kick_lock_waiter(VcpuId id) {
  if (is_local(id)) {
    vcpus_[id.value()]->kick_lock_waiter();
    return;
  }
  const LockKickMessage kick{id.value()};
  client_->send(client_->layout().vcpu_node[id.value()], FabricKind::LockKick, bytes_of(kick));
}

void Machine::announce_power(uint32_t kind, uint32_t code) {
  const PowerMessage message{kind, code};
  client_->send(client_->layout().self, FabricKind::Power, bytes_of(message));
}

void Machine::power(uint32_t kind, uint32_t code) {
  announce_power(kind, code);
  for (;;) pause();  // until the agent's Shutdown ends the process
}

void Machine::on_lost_stack(Vcpu& vcpu, uint64_t rip, uint64_t address) {
  fail("virtual CPU " + std::to_string(vcpu.id.value()) +
       " of the guest has lost its kernel stack: cannot push a frame at " + std::to_string(address) +
       ", rip " + std::to_string(rip));
}

void Machine::fail(const std::string& what) {
  spdlog::error("vmm-failed node={} reason=\"{}\"", client_->layout().self.value(), what);
  power(PANDO_POWER_PANIC, kExitHostFailure);
}

}  // namespace pando::vmm
