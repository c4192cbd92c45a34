// SPDX-License-Identifier: Apache-2.0
// What the guest announces for whoever looks at fault records.  Partner: dsm/agent/address_spaces.cc.
#include <algorithm>
#include <cstring>

#include "dsm/client/shared_node_client.h"

namespace pando::dsm {

// Two announcements for one slot at the same time: the one that comes second is dropped; the next one repairs that.
void SharedNodeClient::name_address_space(const AddressSpaceName& name) {
  const auto spaces = control_.address_spaces();
  SharedAddressSpace& slot = spaces[name.mm.value() & (spaces.size() - 1)];
  uint32_t even = slot.sequence.load(std::memory_order_relaxed) & ~1u;
  if (!slot.sequence.compare_exchange_strong(even, even + 1, std::memory_order_acquire)) return;
  std::atomic_thread_fence(std::memory_order_release);  // the odd number before the content
  slot.mm = name.mm.value();
  slot.pid = name.pid;
  slot.page_table = name.page_table.value();
  std::memset(slot.comm, 0, sizeof slot.comm);
  name.comm.copy(slot.comm, sizeof slot.comm - 1);
  slot.sequence.store(even + 2, std::memory_order_release);
}

void SharedNodeClient::set_cpu_area(VcpuId vcpu, uint64_t offset) {
  auto& word = control_.header().cpu_area_offset[vcpu.value()];
  if (word.load(std::memory_order_relaxed) != offset) word.store(offset, std::memory_order_relaxed);
}

}  // namespace pando::dsm
