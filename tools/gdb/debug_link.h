// SPDX-License-Identifier: Apache-2.0
// The debugger's session with one agent: requests with a bounded wait, events by a callback.
//
// begin() and finish() are separate so that all nodes can work at once.  Thread "reader" takes what the agent sends.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "dsm/shm/debug_message.h"
#include "proto/debug.grpc.pb.h"
#include "proto/node.pb.h"

namespace pando::gdb {

struct NodeAddress {
  uint32_t id = 0;
  std::string name;
  std::string address;  // "host:port" of the agent
};

class DebugLink {
 public:
  using Event = std::function<void(uint32_t node, const v1::DebugReply& event)>;

  // `on_event` is called on the reader thread: for messages without a sequence, and with operation 0 when the session
  // has ended.
  DebugLink(NodeAddress node, const v1::TlsMaterial& tls, Event on_event);
  ~DebugLink();
  DebugLink(const DebugLink&) = delete;
  DebugLink& operator=(const DebugLink&) = delete;

  // Waits for the agent's greeting.  Throws UserError: refused (another debugger), not reachable.
  v1::DebugNode greet(std::chrono::milliseconds limit);

  // Returns the number to finish() with; 0: the session is over.
  uint32_t begin(dsm::DebugOperation operation, uint32_t vcpu = 0, uint64_t address = 0, uint32_t bytes = 0,
                 std::string data = {});
  // nullopt: no answer in time, or the session is over.
  std::optional<v1::DebugReply> finish(uint32_t sequence);
  std::optional<v1::DebugReply> ask(dsm::DebugOperation operation, uint32_t vcpu = 0, uint64_t address = 0,
                                    uint32_t bytes = 0, std::string data = {}) {
    return finish(begin(operation, vcpu, address, bytes, std::move(data)));
  }
  // Ends the session in order: the agent lets the node run.
  void close();

  const NodeAddress& node() const { return node_; }
  bool alive() const;

 private:
  void run_reader();

  const NodeAddress node_;
  const Event on_event_;
  grpc::ClientContext context_;
  std::unique_ptr<v1::Debug::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::DebugRequest, v1::DebugReply>> stream_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<v1::DebugNode> greeting_;
  std::set<uint32_t> awaited_;
  std::map<uint32_t, v1::DebugReply> replies_;  // of awaited ones
  bool over_ = false;
  grpc::Status status_;
  uint32_t next_ = 0;
  std::thread reader_;
};

}  // namespace pando::gdb
