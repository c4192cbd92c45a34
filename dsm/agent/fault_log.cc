// SPDX-License-Identifier: Apache-2.0
#include "dsm/agent/fault_log.h"

#include <algorithm>

namespace pando::dsm {

namespace {

// False: overwritten while it was read, or never finished.
bool copy_record(const SharedFaultRecord& from, uint64_t number, v1::FaultRecord& to) {
  if (from.sequence_end.load(std::memory_order_acquire) != number + 1) return false;
  to.set_sequence(number);
  to.set_monotonic_ns(from.monotonic_ns);
  to.set_page(from.page);
  to.set_address(from.address);
  to.set_rip(from.rip);
  to.set_vcpu(from.vcpu);
  to.set_mm(from.mm);
  to.set_write(from.write != 0);
  to.set_user(from.user != 0);
  to.set_wait_ns(from.wait_ns);
  std::atomic_thread_fence(std::memory_order_acquire);  // partner: SharedNodeClient::record
  return from.sequence_begin.load(std::memory_order_relaxed) == number + 1;
}

}  // namespace

void read_faults(const ControlMemory& control, uint64_t since, uint32_t records_max, v1::FaultsReply& reply) {
  const auto records = control.fault_records();
  const uint64_t end = control.header().fault_sequence.load(std::memory_order_acquire);
  const uint64_t oldest = end > records.size() ? end - records.size() : 0;
  uint64_t at = std::clamp(since, oldest, std::max(oldest, end));
  uint64_t lost = since < at ? at - since : 0;
  const uint64_t stop = records_max == 0 ? end : std::min(end, at + records_max);
  for (; at < stop; ++at) {
    v1::FaultRecord* record = reply.add_records();
    if (copy_record(records[at & (records.size() - 1)], at, *record)) continue;
    reply.mutable_records()->RemoveLast();
    ++lost;
  }
  reply.set_lost(lost);
}

}  // namespace pando::dsm
