// SPDX-License-Identifier: Apache-2.0
// TLB shoot-down: dropping mappings of guest address spaces and of the vmalloc range on this node and on others.
//
// A shoot-down is a message, not a page fault: it is sent to the named nodes, done here meanwhile, and returns when
// every node has acknowledged.  On the other side a worker thread serves it, never the thread that receives messages,
// because waiting for a stub must not hold up acknowledgements.
//
// Guest kernels use translations of user addresses as well, to copy to and from user memory: a shoot-down of an address
// space is done only when each vCPU that was using one has stopped (vcpu_block.translations, guest_abi/vcpu.h).
#pragma once

#include <guest_abi/hypercall.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <stop_token>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/types.h"
#include "dsm/client/node_client.h"
#include "vmm/guest_memory.h"
#include "vmm/stub/address_spaces.h"
#include "vmm/vcpu.h"

namespace pando::vmm {

class Shootdown {
 public:
  // `vcpus`: of this node, nullptr for the others; may be filled until the first request.
  Shootdown(dsm::NodeClient& client, GuestMemory& memory, stub::AddressSpaces& spaces,
            const std::vector<std::unique_ptr<Vcpu>>& vcpus);
  ~Shootdown();

  // vCPU threads; arguments come from the guest.  `nodes` is a mask; this node is always included.  0 or -errno.
  // Throws HostError when a node does not acknowledge in time.
  long mm_unmap(stub::VcpuRun& run, MmId mm, GuestVirt va, uint64_t bytes, uint64_t nodes);
  long mm_resync(stub::VcpuRun& run, MmId mm, const pando_resync& resync, uint64_t nodes);
  long mm_free(stub::VcpuRun& run, MmId mm, uint64_t nodes);
  long kernel_unmap(uint64_t va, uint64_t bytes, uint64_t nodes);

  // Fabric thread: a request of another node, or an acknowledgement of one of ours.
  void on_request(dsm::FabricMessage message);
  void on_ack(const dsm::FabricMessage& message);

 private:
  struct Call {
    std::atomic<uint32_t> missing{0};  // acknowledgements outstanding; futex
  };
  class PendingCall;

  uint64_t others(uint64_t nodes) const;
  void broadcast(uint64_t nodes, dsm::FabricKind kind, std::span<const uint8_t> payload);
  void serve_requests(std::stop_token stop);
  void serve(const dsm::FabricMessage& message);
  // Returns when every vCPU of this node, other than the one of `self` (may be nullptr), has been seen outside the use of
  // a translation that it was in.  Throws HostError when one does not leave it.
  void await_translations(const stub::VcpuRun* self) const;

  dsm::NodeClient& client_;
  GuestMemory& memory_;
  stub::AddressSpaces& spaces_;
  const std::vector<std::unique_ptr<Vcpu>>& vcpus_;

  std::mutex calls_mutex_;
  std::unordered_map<uint64_t, Call*> calls_;
  uint64_t next_request_ = 1;

  std::mutex queue_mutex_;
  std::condition_variable_any queue_changed_;
  std::deque<dsm::FabricMessage> queue_;
  std::jthread worker_;
};

}  // namespace pando::vmm
