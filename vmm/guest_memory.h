// SPDX-License-Identifier: Apache-2.0
// Guest RAM as guest kernel code sees it: the direct map at PANDO_RAM_BASE and the vmalloc range, both mapped from the
// node's RAM memfd and registered for userfaultfd.  What guest user code sees lives in vmm/stub.
//
// serve_fault(), contains_virtual() and copy_from_guest() are for vCPU threads; serve_fault() is async-signal-safe.
#pragma once

#include <guest_abi/layout.h>

#include <atomic>
#include <cstdint>
#include <optional>

#include "base/mapping.h"
#include "base/types.h"
#include "dsm/client/node_client.h"

namespace pando::vmm {

class GuestMemory {
 public:
  // Maps and registers everything.  Throws UserError (no userfaultfd rights) or HostError.
  explicit GuestMemory(dsm::NodeClient& client);

  uint64_t bytes() const { return ram_.size(); }
  bool contains_virtual(uint64_t address) const {
    return address - PANDO_RAM_BASE < ram_.size();
  }
  // True if [address, +bytes) lies in the direct map.
  bool contains_virtual(uint64_t address, uint64_t bytes) const {
    const uint64_t offset = address - PANDO_RAM_BASE;
    return offset < ram_.size() && bytes <= ram_.size() - offset;
  }
  bool contains_physical(GuestPhys address, uint64_t bytes) const {
    return address.value() < ram_.size() && bytes <= ram_.size() - address.value();
  }

  // Makes the page behind a fault of this process accessible; false if the address is not guest memory.
  bool serve_fault(const dsm::FaultInfo& fault);

  // Maps pages of RAM into the vmalloc range.  0 or -errno; arguments come from the guest.
  enum class Writable : uint8_t { No, Yes };
  long map_vmalloc(uint64_t va, GuestPhys gpa, uint64_t bytes, Writable writable);
  long unmap_vmalloc(uint64_t va, uint64_t bytes);

  // Reads a guest object through the direct map once, into host memory; false if it does not lie there.
  bool copy_from_guest(void* to, uint64_t from, uint64_t bytes) const;
  bool copy_to_guest(uint64_t to, const void* from, uint64_t bytes) const;
  template <class T>
  std::optional<T> read(uint64_t from) const {
    T value;
    if (!copy_from_guest(&value, from, sizeof value)) return std::nullopt;
    return value;
  }

 private:
  bool is_vmalloc(uint64_t va, uint64_t bytes) const {
    return va >= PANDO_VMALLOC_START && va < PANDO_VMALLOC_END && bytes <= PANDO_VMALLOC_END - va;
  }
  std::atomic<uint32_t>& vmalloc_slot(uint64_t va) const;
  long install_vmalloc(uint64_t va, GuestPhys gpa, uint64_t bytes, Writable writable);
  void clear_vmalloc_slots(uint64_t va, uint64_t bytes);

  dsm::NodeClient& client_;
  dsm::Uffd uffd_;
  Mapping ram_;
  Mapping vmalloc_;        // reserved address range; holes are PROT_NONE
  Mapping vmalloc_table_;  // page number + 1 of what is mapped at each vmalloc page, 0 = nothing; sparse
};

}  // namespace pando::vmm
