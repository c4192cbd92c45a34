// SPDX-License-Identifier: Apache-2.0
// NodeClient over the control memory (dsm/shm).  Any thread; see node_client.h for what a signal handler may call.
#pragma once

#include <atomic>

#include "dsm/client/node_client.h"
#include "dsm/shm/control_memory.h"

namespace pando::dsm {

class SharedNodeClient final : public NodeClient {
 public:
  SharedNodeClient(UniqueFd ram, ControlMemory control);

  const ClusterLayout& layout() const override { return layout_; }
  int ram_fd() const override { return ram_.get(); }
  int64_t clock_offset_ns() const override;
  unsigned host_nodes() const override;
  void fetch_ahead(PageId page, VcpuId vcpu) override;
  void end_hold(PageId page) override;
  Fault fault_in(const Uffd& uffd, uint64_t mapped_at, PageId page, uint64_t window_start, uint64_t window_end,
                 const FaultInfo& info) override;
  bool lock_for_map(PageId page, Access access) override;
  void unlock_mapped(PageId page) override;
  void preload(GuestPhys at, std::span<const uint8_t> bytes) override;
  void preload_home(GuestPhys at, std::span<const uint8_t> bytes) override;
  void send(NodeId to, FabricKind kind, std::span<const uint8_t> payload) override;
  std::optional<FabricMessage> receive(int limit_ms) override;
  Stats stats() const override;
  void name_address_space(const AddressSpaceName& name) override;
  void set_cpu_area(VcpuId vcpu, uint64_t offset) override;

 private:
  // One fault as fault_in() got it.
  struct Place {
    const Uffd& uffd;
    uint64_t at;
    PageId page;
    uint64_t window_start;
    uint64_t window_end;
  };
  // Neighbouring pages, locked, that one call can map: [first, end).
  struct Run {
    uint32_t first;
    uint32_t end;
    bool hole;  // some have no content yet
  };
  enum class Installed { Yes, Gone, Again };
  enum class FaultAround { Window, Run };

  // All with the lock of place.page held; install() gives it back.
  Installed install(const Place& place, uint32_t bits, Access access);
  bool map_run(const Place& place, uint32_t bits, uint32_t& marked);
  Run lock_neighbours(const Place& place, uint32_t bits, FaultAround around);
  Installed map_one(const Place& place, uint32_t& bits);
  void note_installed(PageId page, uint32_t& bits);
  void begin_hold(PageId page, int64_t longer_ns);
  void hold_what_is_needed();
  void allocate(uint32_t first, uint32_t end) const;
  void ask(PageId page, uint32_t bits, const FaultInfo& info);
  bool request(PageId page, Access access, VcpuId vcpu);
  void tell_ahead(uint32_t page);
  void record(PageId page, const FaultInfo& info, int64_t since_ns);
  void write_content(GuestPhys at, std::span<const uint8_t> bytes);

  UniqueFd ram_;
  ControlMemory control_;
  ClusterLayout layout_;
  RecordRing requests_, fabric_out_, fabric_in_;
  std::atomic<uint64_t> faults_local_{0}, faults_read_{0}, faults_write_{0}, fault_wait_ns_{0};
};

}  // namespace pando::dsm
