// SPDX-License-Identifier: Apache-2.0
#include "dsm/agent/client_link.h"

#include <pthread.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "dsm/agent/responsive.h"
#include "dsm/rpc/peer_link.h"

namespace pando::dsm {

namespace {

constexpr size_t kFetchesTogether = 32;
constexpr uint32_t kManyWait = 8;
constexpr std::chrono::microseconds kGatherForEach{20};  // thread that waits
constexpr uint32_t kGatherForMax = 32;  // threads
constexpr std::chrono::milliseconds kWait{200};  // bounds every sleep; nothing depends on it

template <class T>
std::span<const uint8_t> bytes_of(const T& value) {
  return {reinterpret_cast<const uint8_t*>(&value), sizeof value};
}

}  // namespace

ClientLink::ClientLink(const ControlMemory& control, ClientHandler& handler, const ClientLinkOptions& options)
    : control_(control), handler_(handler), options_(options), requests_(control.requests()),
      fabric_out_(control.fabric_out()), fabric_in_(control.fabric_in()),
      requests_thread_([this] { run_requests(); }), fabric_in_thread_([this] { run_fabric_in(); }) {
  pthread_setname_np(requests_thread_.native_handle(), "requests");
  pthread_setname_np(fabric_in_thread_.native_handle(), "fabric-in");
}

void ClientLink::stop() {
  if (stopping_.exchange(true)) return;
  ring_doorbell(control_.header().agent_doorbell);
  {
    const std::lock_guard guard(in_mutex_);
    in_wake_.notify_all();
  }
  requests_thread_.join();
  fabric_in_thread_.join();
}

void ClientLink::run_requests() {
  const bool realtime = options_.realtime && make_thread_responsive();
  const auto spin = realtime ? std::chrono::nanoseconds(0) : options_.spin;
  const auto still_empty = [&] { return requests_.empty() && fabric_out_.empty() && !stopping_; };
  for (;;) {
    const bool last_round = stopping_;
    gather();
    if (!drain()) return;
    if (last_round) return;
    const auto until = std::chrono::steady_clock::now() + spin;
    while (still_empty() && spin.count() > 0 && std::chrono::steady_clock::now() < until)
      __builtin_ia32_pause();
    if (still_empty()) wait_doorbell(control_.header().agent_doorbell, still_empty, kWait);
  }
}

// Where many threads wait for pages, more are about to: this thread, which runs before them, lets some of them come, and sends
// for their pages together.  Nothing depends on the sleep; an IPI that comes meanwhile waits for its rest.
void ClientLink::gather() {
  const uint32_t waiting = control_.header().waiting_threads.load(std::memory_order_relaxed);
  if (!options_.batching || waiting < kManyWait || !fabric_out_.empty() || stopping_) return;
  std::this_thread::sleep_for(kGatherForEach * std::min(waiting, kGatherForMax));
}

// False: the rings are broken.
bool ClientLink::drain() try {
  for (;;) {
    const auto request = take_requests();
    const auto fabric = fabric_out_.try_pop([&](std::span<const uint8_t> r) { handle_fabric(r); });
    if (request == RecordRing::Pop::Broken || fabric == RecordRing::Pop::Broken) {
      handler_.on_client_broken("the VMM overwrote its request rings");
      return false;
    }
    if (request == RecordRing::Pop::Empty && fabric == RecordRing::Pop::Empty) return true;
  }
} catch (const std::exception& e) {
  handler_.on_host_failure(e.what());
  return false;
}

// What is there, up to a bound.  Got: at least one.
RecordRing::Pop ClientLink::take_requests() {
  bool any = false;
  RecordRing::Pop last = RecordRing::Pop::Empty;
  do {
    last = requests_.try_pop([&](std::span<const uint8_t> r) { handle_request(r); });
    any |= last == RecordRing::Pop::Got;
  } while (last == RecordRing::Pop::Got && fetches_.size() < kFetchesTogether);
  hand_fetches_over();
  return any && last == RecordRing::Pop::Empty ? RecordRing::Pop::Got : last;
}

void ClientLink::hand_fetches_over() {
  if (fetches_.empty()) return;
  handler_.on_fetches(fetches_);
  fetches_.clear();
}

void ClientLink::handle_request(std::span<const uint8_t> record) {
  PageRequest request{};
  if (record.size() == sizeof request) std::memcpy(&request, record.data(), sizeof request);
  const uint32_t pages = control_.page_count();
  const bool in_range = request.page < pages && request.count <= pages - request.page;
  if (in_range && request.kind == RequestKind::Fetch && request.vcpu < UINT16_MAX) {
    fetches_.push_back({PageId(request.page), request.write ? Access::Write : Access::Read,
                        static_cast<uint32_t>(monotonic_now_ns()) - request.posted_ns});
  } else if (in_range && request.kind == RequestKind::Ahead) {
    hand_fetches_over();
    handler_.on_ahead(PageId(request.page));
  } else if (in_range && request.kind == RequestKind::Preloaded) {
    hand_fetches_over();
    handler_.on_preloaded(PageId(request.page), request.count);
  } else {
    ++bad_requests_;
    if (bad_log_.allow())
      spdlog::warn("bad_request kind={} page={} count={}", static_cast<int>(request.kind), request.page, request.count);
  }
}

void ClientLink::handle_fabric(std::span<const uint8_t> record) {
  FabricHeader header{};
  if (record.size() >= sizeof header) std::memcpy(&header, record.data(), sizeof header);
  const bool good = record.size() >= sizeof header && header.bytes == record.size() - sizeof header &&
                    header.bytes <= kFabricPayloadMax && header.peer < control_.header().node_count;
  if (!good) {
    ++bad_requests_;
    if (bad_log_.allow()) spdlog::warn("bad_fabric_message kind={} bytes={}", header.kind, header.bytes);
    return;
  }
  // The handler gets a copy: the client could change the ring while it is looked at.
  const auto payload = record.subspan(sizeof header);
  const std::vector<uint8_t> copy(payload.begin(), payload.end());
  handler_.on_fabric_out(static_cast<FabricKind>(header.kind), NodeId(header.peer), copy);
}

bool ClientLink::deliver(FabricKind kind, NodeId from, std::span<const uint8_t> payload) {
  CHECK(payload.size() <= kFabricPayloadMax);
  const FabricHeader header{static_cast<uint16_t>(kind), from.value(), 0, static_cast<uint32_t>(payload.size())};
  const std::lock_guard guard(in_mutex_);
  if (backlog_.empty()) {
    const auto pushed = fabric_in_.try_push(bytes_of(header), payload);
    if (pushed != RecordRing::Push::Full) return pushed == RecordRing::Push::Done;
  }
  const size_t bytes = sizeof header + payload.size();
  if (backlog_bytes_ + bytes > kBacklogMax) return false;
  std::vector<uint8_t> record(bytes);
  std::memcpy(record.data(), &header, sizeof header);
  if (!payload.empty()) std::memcpy(record.data() + sizeof header, payload.data(), payload.size());
  backlog_.push_back(std::move(record));
  backlog_bytes_ += bytes;
  in_wake_.notify_one();
  return true;
}

void ClientLink::run_fabric_in() {
  std::unique_lock lock(in_mutex_);
  while (!stopping_) {
    in_wake_.wait(lock, [&] { return stopping_ || !backlog_.empty(); });
    while (!stopping_ && !backlog_.empty()) {
      // Only this thread removes from the backlog, so the front stays valid while the mutex is released.
      const std::vector<uint8_t>& record = backlog_.front();
      lock.unlock();
      const auto pushed = fabric_in_.push(record, {}, kWait);
      lock.lock();
      if (pushed == RecordRing::Push::Broken) return;
      if (pushed != RecordRing::Push::Done) continue;
      backlog_bytes_ -= record.size();
      backlog_.pop_front();
    }
  }
}

}  // namespace pando::dsm
