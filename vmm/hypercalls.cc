// SPDX-License-Identifier: Apache-2.0
#include "vmm/hypercalls.h"

#include <guest_abi/hypercall.h>
#include <guest_abi/user.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "base/futex.h"
#include "vmm/machine.h"
#include "vmm/vcpu.h"

namespace pando::vmm {

namespace {

constexpr size_t kConsoleChunk = 4096;
constexpr auto kPowerCheck = std::chrono::seconds(1);

struct Arguments {
  uint64_t a, b, c, d, e;
};

long console_write(Machine& m, Vcpu&, const Arguments& x) {
  if (x.a >= PANDO_PORTS) return -EINVAL;
  std::array<uint8_t, kConsoleChunk> text;
  const size_t bytes = std::min<uint64_t>(x.c, text.size());
  if (!m.memory().copy_from_guest(text.data(), x.b, bytes)) return -EFAULT;
  m.console().write(static_cast<unsigned>(x.a), {text.data(), bytes});
  return static_cast<long>(bytes);
}

long console_read(Machine& m, Vcpu&, const Arguments& x) {
  if (x.a >= PANDO_PORTS) return -EINVAL;
  std::array<uint8_t, kConsoleChunk> text;
  const size_t wanted = std::min<uint64_t>(x.c, text.size());
  if (!m.memory().contains_virtual(x.b, wanted)) return -EFAULT;
  const size_t bytes = m.console().read(static_cast<unsigned>(x.a), {text.data(), wanted});
  m.memory().copy_to_guest(x.b, text.data(), bytes);
  return static_cast<long>(bytes);
}

long clock(Machine& m, Vcpu&, const Arguments& x) {
  switch (x.a) {
    case PANDO_CLOCK_MONOTONIC: return m.cluster_clock_ns();
    case PANDO_CLOCK_REALTIME: {
      timespec now;
      clock_gettime(CLOCK_REALTIME, &now);
      return now.tv_sec * 1'000'000'000 + now.tv_nsec;
    }
    default: return -EINVAL;
  }
}

long timer(Machine&, Vcpu& v, const Arguments& x) {
  itimerspec when{};
  when.it_value.tv_sec = static_cast<time_t>(x.a / 1'000'000'000);
  when.it_value.tv_nsec = static_cast<long>(x.a % 1'000'000'000);
  return timer_settime(v.timer, 0, &when, nullptr) == 0 ? 0 : -errno;
}

long ipi(Machine& m, Vcpu&, const Arguments& x) {
  if (x.a >= m.vcpu_count() || x.b >= PANDO_VEC_MAX) return -EINVAL;
  m.send_ipi(VcpuId(static_cast<uint16_t>(x.a)), static_cast<unsigned>(x.b), {x.c, x.d, x.e});
  return 0;
}

long lock_wait(Machine& m, Vcpu& v, const Arguments& x) {
  if (x.a > 1) return -EINVAL;
  return m.lock_wait(v, x.a ? Machine::LockWait::Interruptible : Machine::LockWait::KickOnly);
}

long lock_kick(Machine& m, Vcpu&, const Arguments& x) {
  if (x.a >= m.vcpu_count()) return -EINVAL;
  m.kick_lock_waiter(VcpuId(static_cast<uint16_t>(x.a)));
  return 0;
}

long vcpu_start(Machine& m, Vcpu&, const Arguments& x) {
  if (x.a >= m.vcpu_count()) return -EINVAL;
  if (!m.memory().contains_virtual(x.b)) return -EFAULT;
  return m.start_vcpu(VcpuId(static_cast<uint16_t>(x.a)), x.b, x.c);
}

long kernel_map(Machine& m, Vcpu&, const Arguments& x) {
  return m.memory().map_vmalloc(x.a, GuestPhys(x.b), x.c,
                                x.d ? GuestMemory::Writable::Yes : GuestMemory::Writable::No);
}

long mm_map(Machine& m, Vcpu& v, const Arguments& x) {
  return m.address_spaces().map(v.run, MmId(x.a), GuestVirt(x.b), GuestPhys(x.c), x.d, x.e);
}

long mm_resync(Machine& m, Vcpu& v, const Arguments& x) {
  // A host copy: the guest's page may change, or leave this node, while the stub's lock is held.
  const auto resync = m.memory().read<pando_resync>(x.b);
  if (!resync) return -EFAULT;
  if (resync->count > PANDO_RESYNC_MAX) return -EINVAL;
  return m.shootdown().mm_resync(v.run, MmId(x.a), *resync, x.c);
}

long run_user(Machine& m, Vcpu& v, const Arguments& x) {
  auto user = m.memory().read<pando_user>(x.b);
  if (!user) return -EFAULT;
  if (!m.memory().contains_virtual(user->regs, sizeof(stub::UserRegs)) ||
      !m.memory().contains_virtual(user->fpu, m.fpu_bytes()))
    return -EFAULT;
  long exit;
  do {
    exit = m.address_spaces().run_user(v.run, MmId(x.a), *user, reinterpret_cast<stub::UserRegs*>(user->regs),
                                       reinterpret_cast<uint8_t*>(user->fpu));
  } while (m.debugger().on_user_exit(v, MmId(x.a), *user, exit));
  m.memory().copy_to_guest(x.b, &*user, sizeof *user);
  return exit;
}

// Until the agent's Shutdown ends the process.  A debugger that looks at the end gets the vCPU back in the guest, where
// its registers are known; the guest stops it there for good.
long power(Machine& m, Vcpu& v, const Arguments& x) {
  m.announce_power(static_cast<uint32_t>(x.a), static_cast<uint32_t>(x.b));
  while (!v.debug.attention()) futex_wait(v.debug.want, 0, kPowerCheck);
  return 0;
}

long stats(Machine& m, Vcpu&, const Arguments& x) {
  const dsm::NodeClient::Stats s = m.client().stats();
  pando_stats out{};
  out.faults_local = s.faults_local;
  out.faults_remote_read = s.faults_remote_read;
  out.faults_remote_write = s.faults_remote_write;
  out.fault_wait_ns = s.fault_wait_ns;
  const stub::Counters c = m.address_spaces().counters();
  out.hand_overs = c.hand_overs;
  out.sleeps = c.sleeps;
  out.system_calls = c.syscalls;
  out.user_faults = c.faults;
  out.stub_faults = c.dsm_faults;
  out.commands = c.commands;
  out.unmaps = c.unmaps;
  out.parks = c.parks;
  out.proofs = c.proofs;
  out.stub_ns = c.stub_ns;
  return m.memory().copy_to_guest(x.a, &out, sizeof out) ? 0 : -EFAULT;
}

long mm_name(Machine& m, Vcpu& v, const Arguments& x) {
  std::array<char, PANDO_COMM_BYTES> comm;
  if (!m.memory().copy_from_guest(comm.data(), x.c, comm.size())) return -EFAULT;
  if (!m.memory().contains_physical(GuestPhys(x.d), kPageSize)) return -EINVAL;
  m.client().set_cpu_area(v.id, v.block.percpu_offset);
  m.client().name_address_space({MmId(x.a), static_cast<uint32_t>(x.b), GuestPhys(x.d),
                                 {comm.data(), strnlen(comm.data(), comm.size())}});
  return 0;
}

long dispatch(Machine& m, Vcpu& v, long number, const Arguments& x) {
  switch (number) {
    case PANDO_HC_CONSOLE_WRITE: return console_write(m, v, x);
    case PANDO_HC_CONSOLE_READ: return console_read(m, v, x);
    case PANDO_HC_CLOCK: return clock(m, v, x);
    case PANDO_HC_TIMER: return timer(m, v, x);
    case PANDO_HC_IDLE: return m.idle(v);
    case PANDO_HC_POWER: return power(m, v, x);
    case PANDO_HC_IPI: return ipi(m, v, x);
    case PANDO_HC_LOCK_WAIT: return lock_wait(m, v, x);
    case PANDO_HC_LOCK_KICK: return lock_kick(m, v, x);
    case PANDO_HC_VCPU_START: return vcpu_start(m, v, x);
    case PANDO_HC_KERNEL_MAP: return kernel_map(m, v, x);
    case PANDO_HC_KERNEL_UNMAP: return m.shootdown().kernel_unmap(x.a, x.b, x.c);
    case PANDO_HC_MM_MAP: return mm_map(m, v, x);
    case PANDO_HC_MM_UNMAP: return m.shootdown().mm_unmap(v.run, MmId(x.a), GuestVirt(x.b), x.c, x.d);
    case PANDO_HC_MM_RESYNC: return mm_resync(m, v, x);
    case PANDO_HC_MM_FREE: return m.shootdown().mm_free(v.run, MmId(x.a), x.b);
    case PANDO_HC_RUN_USER: return run_user(m, v, x);
    case PANDO_HC_SET_ENTRY: return m.set_entries({x.a, x.b});
    case PANDO_HC_STATS: return stats(m, v, x);
    case PANDO_HC_MM_NAME: return mm_name(m, v, x);
    default: return -ENOSYS;
  }
}

}  // namespace

}  // namespace pando::vmm

long pando_hypercall(long number, long a, long b, long c, long d, long e) {
  using namespace pando::vmm;
  Vcpu* vcpu = this_vcpu();
  const auto u = [](long value) { return static_cast<uint64_t>(value); };
  vcpu->debug.in_hypercall = true;
  try {
    const long result = dispatch(*vcpu->machine, *vcpu, number, {u(a), u(b), u(c), u(d), u(e)});
    vcpu->debug.in_hypercall = false;  // before the look at attention; partner: Debugger::on_attention()
    if (vcpu->debug.attention()) arm_trap_flag(vcpu->debug);
    return result;
  } catch (const std::exception& error) {
    vcpu->machine->fail(error.what());
  }
}
