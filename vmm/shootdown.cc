// SPDX-License-Identifier: Apache-2.0
#include "vmm/shootdown.h"

#include <bit>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/futex.h"
#include "base/log.h"

namespace pando::vmm {

namespace {

using dsm::FabricKind;

constexpr auto kAckLimit = std::chrono::seconds(30);
constexpr auto kAckLook = std::chrono::seconds(1);
constexpr size_t kQueuedRequestsMax = 1024;
constexpr int kLooksBeforeSleep = 200;
constexpr auto kLookAgain = std::chrono::microseconds(50);

// First bytes of every request; an acknowledgement is the request number alone.
struct RequestHeader {
  uint64_t request;  // 0: no acknowledgement wanted
  uint64_t mm;       // 0 for kernel mappings
  uint64_t start;
  uint64_t bytes;
};

std::vector<uint8_t> encode(const RequestHeader& header, const void* tail = nullptr, size_t tail_bytes = 0) {
  std::vector<uint8_t> out(sizeof header + tail_bytes);
  std::memcpy(out.data(), &header, sizeof header);
  if (tail_bytes) std::memcpy(out.data() + sizeof header, tail, tail_bytes);
  return out;
}

size_t resync_bytes(const pando_resync& resync) {
  return offsetof(pando_resync, entry) + resync.count * sizeof(pando_resync_entry);
}

bool valid_user_range(GuestVirt va, uint64_t bytes) {
  return ((va.value() | bytes) & (kPageSize - 1)) == 0 && va.value() < PANDO_USER_TOP &&
         bytes <= PANDO_USER_TOP - va.value();
}

}  // namespace

// A request sent to `nodes`; wait() returns when all have acknowledged it.
class Shootdown::PendingCall {
 public:
  PendingCall(Shootdown& owner, uint64_t nodes) : owner_(owner), nodes_(owner.others(nodes)) {
    if (!nodes_) return;
    call_.missing = static_cast<uint32_t>(std::popcount(nodes_));
    const std::lock_guard lock(owner_.calls_mutex_);
    request_ = owner_.next_request_++;
    owner_.calls_.emplace(request_, &call_);
  }
  PendingCall(const PendingCall&) = delete;
  ~PendingCall() {
    if (!request_) return;
    const std::lock_guard lock(owner_.calls_mutex_);
    owner_.calls_.erase(request_);
  }

  uint64_t request() const { return request_; }
  void send(FabricKind kind, std::span<const uint8_t> payload) { owner_.broadcast(nodes_, kind, payload); }

  void wait() {
    // Counted in waits, not by the clock: a debugger may stop the machine meanwhile.
    int waits = 0;
    while (const uint32_t missing = call_.missing.load(std::memory_order_acquire)) {
      if (futex_wait(call_.missing, missing, kAckLook) == FutexWait::TimedOut && ++waits > kAckLimit / kAckLook)
        throw HostError("a TLB shoot-down was not acknowledged by every node of mask " +
                            std::to_string(nodes_),
                        ETIMEDOUT);
    }
  }

 private:
  Shootdown& owner_;
  const uint64_t nodes_;
  uint64_t request_ = 0;
  Call call_;
};

Shootdown::Shootdown(dsm::NodeClient& client, GuestMemory& memory, stub::AddressSpaces& spaces,
                     const std::vector<std::unique_ptr<Vcpu>>& vcpus)
    : client_(client),
      memory_(memory),
      spaces_(spaces),
      vcpus_(vcpus),
      worker_([this](std::stop_token stop) { serve_requests(stop); }) {}

Shootdown::~Shootdown() {
  worker_.request_stop();
  queue_changed_.notify_all();
}

uint64_t Shootdown::others(uint64_t nodes) const {
  const uint64_t known = (uint64_t{1} << client_.layout().nodes.size()) - 1;
  return nodes & known & ~(uint64_t{1} << client_.layout().self.value());
}

void Shootdown::broadcast(uint64_t nodes, FabricKind kind, std::span<const uint8_t> payload) {
  for (uint64_t left = nodes; left; left &= left - 1)
    client_.send(NodeId(static_cast<uint8_t>(std::countr_zero(left))), kind, payload);
}

long Shootdown::mm_unmap(stub::VcpuRun& run, MmId mm, GuestVirt va, uint64_t bytes, uint64_t nodes) {
  if (!valid_user_range(va, bytes)) return -EINVAL;
  PendingCall call(*this, nodes);
  call.send(FabricKind::MmUnmap, encode({call.request(), mm.value(), va.value(), bytes}));
  const long result = spaces_.unmap(&run, mm, va, bytes);
  await_translations(&run);
  call.wait();
  return result;
}

long Shootdown::mm_resync(stub::VcpuRun& run, MmId mm, const pando_resync& resync, uint64_t nodes) {
  if (resync.from > resync.to || !valid_user_range(GuestVirt(resync.from), resync.to - resync.from))
    return -EINVAL;
  PendingCall call(*this, nodes);
  call.send(FabricKind::MmResync,
            encode({call.request(), mm.value(), resync.from, resync.to - resync.from}, &resync,
                   resync_bytes(resync)));
  const long result = spaces_.resync(&run, mm, resync);
  await_translations(&run);
  call.wait();
  return result;
}

long Shootdown::mm_free(stub::VcpuRun& run, MmId mm, uint64_t nodes) {
  broadcast(others(nodes), FabricKind::MmFree, encode({0, mm.value(), 0, 0}));
  return spaces_.free(&run, mm);
}

long Shootdown::kernel_unmap(uint64_t va, uint64_t bytes, uint64_t nodes) {
  PendingCall call(*this, nodes);
  call.send(FabricKind::KernelUnmap, encode({call.request(), 0, va, bytes}));
  const long result = memory_.unmap_vmalloc(va, bytes);
  call.wait();
  return result;
}

void Shootdown::await_translations(const stub::VcpuRun* self) const {
  for (const auto& vcpu : vcpus_) {
    if (!vcpu || &vcpu->run == self) continue;
    const std::atomic_ref<pando_u32> count(vcpu->block.translations);
    const uint32_t seen = count.load(std::memory_order_acquire);
    if (seen % 2 == 0) continue;
    // A copy of at most a page, or as long as that page takes to come from another node.  Looked at, not slept on: a wake
    // would cost the guest a hypercall for every copy.
    auto deadline = std::chrono::steady_clock::now() + kAckLimit;
    for (int looks = 0; count.load(std::memory_order_acquire) == seen; ++looks) {
      if (looks < kLooksBeforeSleep) {
        __builtin_ia32_pause();
        continue;
      }
      if (vcpu->debug.parked.load()) deadline = std::chrono::steady_clock::now() + kAckLimit;
      if (std::chrono::steady_clock::now() > deadline)
        throw HostError("virtual CPU " + std::to_string(vcpu->id.value()) + " does not finish a copy of user memory",
                        ETIMEDOUT);
      std::this_thread::sleep_for(kLookAgain);
    }
  }
}

void Shootdown::on_request(dsm::FabricMessage message) {
  std::unique_lock lock(queue_mutex_);
  // The worker depends on nothing that this thread delivers, so waiting for room is safe.
  queue_changed_.wait(lock, worker_.get_stop_token(),
                      [this] { return queue_.size() < kQueuedRequestsMax; });
  queue_.push_back(std::move(message));
  queue_changed_.notify_all();
}

void Shootdown::on_ack(const dsm::FabricMessage& message) {
  uint64_t request;
  if (message.payload.size() != sizeof request) return;
  std::memcpy(&request, message.payload.data(), sizeof request);
  const std::lock_guard lock(calls_mutex_);
  const auto found = calls_.find(request);
  if (found == calls_.end() || found->second->missing.load() == 0) return;
  found->second->missing.fetch_sub(1, std::memory_order_release);  // partner: the load in wait()
  futex_wake(found->second->missing, 1);
}

void Shootdown::serve_requests(std::stop_token stop) {
  for (;;) {
    std::unique_lock lock(queue_mutex_);
    if (!queue_changed_.wait(lock, stop, [this] { return !queue_.empty(); })) return;
    const dsm::FabricMessage message = std::move(queue_.front());
    queue_.pop_front();
    queue_changed_.notify_all();
    lock.unlock();
    serve(message);
  }
}

void Shootdown::serve(const dsm::FabricMessage& message) {
  RequestHeader header;
  if (message.payload.size() < sizeof header) return;
  std::memcpy(&header, message.payload.data(), sizeof header);
  const MmId mm(header.mm);
  switch (message.kind) {
    case FabricKind::MmUnmap:
      if (valid_user_range(GuestVirt(header.start), header.bytes))
        spaces_.unmap(nullptr, mm, GuestVirt(header.start), header.bytes);
      await_translations(nullptr);
      break;
    case FabricKind::MmResync: {
      pando_resync resync{};
      const size_t bytes = message.payload.size() - sizeof header;
      if (bytes > sizeof resync) return;
      std::memcpy(&resync, message.payload.data() + sizeof header, bytes);
      if (resync.count > PANDO_RESYNC_MAX || resync_bytes(resync) != bytes) return;
      spaces_.resync(nullptr, mm, resync);
      await_translations(nullptr);
      break;
    }
    case FabricKind::MmFree: spaces_.free(nullptr, mm); break;
    case FabricKind::KernelUnmap: memory_.unmap_vmalloc(header.start, header.bytes); break;
    default: return;
  }
  if (!header.request) return;
  client_.send(message.from, FabricKind::Ack,
               {reinterpret_cast<const uint8_t*>(&header.request), sizeof header.request});
}

}  // namespace pando::vmm
