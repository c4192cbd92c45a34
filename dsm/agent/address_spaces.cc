// SPDX-License-Identifier: Apache-2.0
#include "dsm/agent/address_spaces.h"

#include <algorithm>
#include <cstring>

namespace pando::dsm {

namespace {

// The guest chose the name: anything but plain text becomes '?'.
std::string printable(const char* comm) {
  std::string text(comm, strnlen(comm, kCommMax));
  std::ranges::replace_if(text, [](char c) { return c < ' ' || c > '~'; }, '?');
  return text;
}

// False: empty, or being written.
bool copy_space(const SharedAddressSpace& from, v1::AddressSpace& to) {
  const uint32_t before = from.sequence.load(std::memory_order_acquire);
  if (before % 2 != 0 || from.mm == 0) return false;
  to.set_mm(from.mm);
  to.set_pid(from.pid);
  to.set_page_table(from.page_table);
  char comm[kCommMax];
  std::memcpy(comm, from.comm, sizeof comm);
  to.set_comm(printable(comm));
  std::atomic_thread_fence(std::memory_order_acquire);  // partner: SharedNodeClient::name_address_space
  return from.sequence.load(std::memory_order_relaxed) == before;
}

}  // namespace

void read_address_spaces(const ControlMemory& control, v1::AddressSpacesReply& reply) {
  for (const SharedAddressSpace& space : control.address_spaces())
    if (!copy_space(space, *reply.add_spaces())) reply.mutable_spaces()->RemoveLast();
  const ControlHeader& header = control.header();
  for (uint32_t vcpu = 0; vcpu < kVcpusMax; ++vcpu) {
    const uint64_t offset = header.cpu_area_offset[vcpu].load(std::memory_order_relaxed);
    if (offset == 0) continue;
    v1::CpuArea* area = reply.add_cpu_areas();
    area->set_vcpu(vcpu);
    area->set_offset(offset);
  }
}

}  // namespace pando::dsm
