// SPDX-License-Identifier: Apache-2.0
// The debugger's side of an agent: gRPC service Debug (proto/debug.proto).  Passes requests on to the VMM, and answers
// itself what the VMM cannot: which pages are here, and their content when the VMM is dead.
//
// One session at a time.  When it ends, however it ends, the VMM is told to forget breakpoints and to run.
#pragma once

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "base/types.h"
#include "dsm/shm/debug_message.h"
#include "proto/debug.grpc.pb.h"

namespace pando::dsm {

// What the service needs of the agent.  Called on gRPC threads; must not block for long.
class DebugBackend {
 public:
  virtual ~DebugBackend() = default;
  // Hands a DebugHeader with its data to the VMM as FabricKind::Debug.  False: there is none.
  virtual bool debug_to_vmm(std::span<const uint8_t> message) = 0;
  // Copies the page as this node holds it, under its lock.  False: not here, or not now.
  virtual bool debug_read_page(PageId page, std::span<uint8_t, kPageSize> out) = 0;
  virtual void debug_page(PageId page, v1::DebugPage& reply) = 0;
  virtual void debug_node(v1::DebugNode& reply) = 0;
};

class DebugService final : public v1::Debug::CallbackService {
 public:
  explicit DebugService(DebugBackend& backend) : backend_(backend) {}

  grpc::ServerBidiReactor<v1::DebugRequest, v1::DebugReply>* Session(grpc::CallbackServerContext* context) override;

  // A Debug message of the VMM: a reply, or something it has hit.  Any thread; never blocks.
  void on_vmm_message(std::span<const uint8_t> payload);
  // The guest has ended: the debugger is told.
  void on_end(const v1::ExitStatus& status);
  // Waits until no debugger is attached: a guest that has panicked is kept for it.  Returns at the latest when ended()
  // says true; it is asked a few times per second.
  template <class Ended>
  void wait_detached(Ended&& ended) {
    std::unique_lock lock(mutex_);
    while (session_ != nullptr && !ended()) changed_.wait_for(lock, std::chrono::milliseconds(200));
  }
  bool attached() const {
    const std::lock_guard guard(mutex_);
    return session_ != nullptr;
  }

 private:
  class Reactor;
  friend class Reactor;
  bool attach(Reactor* reactor);
  void detach(Reactor* reactor);
  void answer(const v1::DebugRequest& request, v1::DebugReply& reply);
  bool pass_on(const v1::DebugRequest& request);
  int32_t read_held(const v1::DebugRequest& request, std::string& out);

  // The node, and how the guest ended if it has.
  void describe_node(v1::DebugNode& node) const;

  DebugBackend& backend_;
  mutable std::mutex mutex_;
  std::optional<v1::ExitStatus> ended_;
  std::condition_variable changed_;
  Reactor* session_ = nullptr;
};

}  // namespace pando::dsm
