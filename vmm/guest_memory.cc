// SPDX-License-Identifier: Apache-2.0
#include "vmm/guest_memory.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace pando::vmm {

namespace {

// Faults install the pages of one aligned window along with the one that was touched.
constexpr uint64_t kFaultWindowBytes = 16 * kPageSize;
constexpr uint64_t kWholeTableBytes = PANDO_VMALLOC_END - PANDO_VMALLOC_START;

Mapping map_ram(const dsm::NodeClient& client) {
  Mapping ram = Mapping::shared_file_at(PANDO_RAM_BASE, client.ram_fd(), client.layout().ram_bytes,
                                        PROT_READ | PROT_WRITE | PROT_EXEC);
  // Stubs are made by clone without exec: they must not inherit an untrapped view (host-facts 8).
  check_errno(madvise(ram.data(), ram.size(), MADV_DONTFORK), "madvise(MADV_DONTFORK)");
  return ram;
}

Mapping reserve(uint64_t address, uint64_t bytes) {
  void* data = mmap(reinterpret_cast<void*>(address), bytes, PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  if (data == MAP_FAILED) throw HostError("reserving the vmalloc range", errno);
  return Mapping(data, bytes);
}

Mapping sparse_table(uint64_t bytes) {
  void* data =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) throw HostError("vmalloc table", errno);
  return Mapping(data, bytes);
}

// The cluster has ended and the page will never come: the fabric thread is about to end the process.
[[noreturn]] void wait_for_the_end() {
  for (;;) pause();
}

}  // namespace

GuestMemory::GuestMemory(dsm::NodeClient& client)
    : client_(client),
      uffd_(dsm::Uffd::open_here()),
      ram_(map_ram(client)),
      vmalloc_(reserve(PANDO_VMALLOC_START, PANDO_VMALLOC_END - PANDO_VMALLOC_START)),
      vmalloc_table_(sparse_table(((PANDO_VMALLOC_END - PANDO_VMALLOC_START) >> kPageShift) *
                                  sizeof(std::atomic<uint32_t>))) {
  uffd_.register_range(PANDO_RAM_BASE, ram_.size());
}

std::atomic<uint32_t>& GuestMemory::vmalloc_slot(uint64_t va) const {
  return reinterpret_cast<std::atomic<uint32_t>*>(
      vmalloc_table_.data())[(va - PANDO_VMALLOC_START) >> kPageShift];
}

bool GuestMemory::serve_fault(const dsm::FaultInfo& fault) {
  const uint64_t at = page_floor(fault.address);
  if (contains_virtual(at)) {
    const uint64_t start = at & ~(kFaultWindowBytes - 1);
    const uint64_t end = start + kFaultWindowBytes;
    const auto result = client_.fault_in(
        uffd_, at, page_of(GuestPhys(at - PANDO_RAM_BASE)), start < PANDO_RAM_BASE ? PANDO_RAM_BASE : start,
        end > PANDO_RAM_BASE + ram_.size() ? PANDO_RAM_BASE + ram_.size() : end, fault);
    if (result == dsm::NodeClient::Fault::Ended) wait_for_the_end();
    return true;
  }
  if (!is_vmalloc(at, kPageSize)) return false;
  // A slot that was emptied meanwhile: the mapping is gone, the access faults again, as SIGSEGV.
  if (const uint32_t page = vmalloc_slot(at).load(std::memory_order_acquire))
    if (client_.fault_in(uffd_, at, PageId(page - 1), at, at + kPageSize, fault) ==
        dsm::NodeClient::Fault::Ended)
      wait_for_the_end();
  return true;
}

long GuestMemory::map_vmalloc(uint64_t va, GuestPhys gpa, uint64_t bytes, Writable writable) {
  if ((va | gpa.value() | bytes) & (kPageSize - 1) || bytes == 0) return -EINVAL;
  if (!is_vmalloc(va, bytes) || !contains_physical(gpa, bytes)) return -EINVAL;
  const long result = install_vmalloc(va, gpa, bytes, writable);
  if (result != -ENOMEM) return result;
  // The host's limit on mappings: what is there is only a TLB, faults bring back what is needed.
  unmap_vmalloc(PANDO_VMALLOC_START, PANDO_VMALLOC_END - PANDO_VMALLOC_START);
  return install_vmalloc(va, gpa, bytes, writable);
}

long GuestMemory::install_vmalloc(uint64_t va, GuestPhys gpa, uint64_t bytes, Writable writable) {
  // Inaccessible until registered: otherwise another vCPU could fill the mapping unguarded (hot-pages, trap 6).
  void* at = reinterpret_cast<void*>(va);
  if (mmap(at, bytes, PROT_NONE, MAP_SHARED | MAP_FIXED, client_.ram_fd(),
           static_cast<off_t>(gpa.value())) == MAP_FAILED)
    return -errno;
  for (uint64_t offset = 0; offset < bytes; offset += kPageSize)
    vmalloc_slot(va + offset)
        .store(page_of(GuestPhys(gpa.value() + offset)).value() + 1, std::memory_order_release);
  uffd_.register_range(va, bytes);
  const int protection = PROT_READ | PROT_EXEC | (writable == Writable::Yes ? PROT_WRITE : 0);
  return mprotect(at, bytes, protection) == 0 ? 0 : -errno;
}

long GuestMemory::unmap_vmalloc(uint64_t va, uint64_t bytes) {
  if ((va | bytes) & (kPageSize - 1) || !is_vmalloc(va, bytes)) return -EINVAL;
  if (bytes == 0) return 0;
  if (mmap(reinterpret_cast<void*>(va), bytes, PROT_NONE,
           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
    return -errno;
  clear_vmalloc_slots(va, bytes);
  return 0;
}

// Drops whole pages of the table where it can: flushing the full range must not touch 32 Mi entries.
void GuestMemory::clear_vmalloc_slots(uint64_t va, uint64_t bytes) {
  auto* first = &vmalloc_slot(va);
  if (bytes >= kWholeTableBytes) {
    madvise(vmalloc_table_.data(), vmalloc_table_.size(), MADV_DONTNEED);
    return;
  }
  for (uint64_t i = 0; i < bytes >> kPageShift; ++i) first[i].store(0, std::memory_order_release);
}

bool GuestMemory::copy_from_guest(void* to, uint64_t from, uint64_t bytes) const {
  if (!contains_virtual(from, bytes)) return false;
  std::memcpy(to, reinterpret_cast<const void*>(from), bytes);
  return true;
}

bool GuestMemory::copy_to_guest(uint64_t to, const void* from, uint64_t bytes) const {
  if (!contains_virtual(to, bytes)) return false;
  std::memcpy(reinterpret_cast<void*>(to), from, bytes);
  return true;
}

}  // namespace pando::vmm
