// SPDX-License-Identifier: Apache-2.0
// gRPC to one agent's Control service.  Every call has a deadline; a failure throws with the node's
// name. cancel() may be called from any thread and makes the running and every later call fail at
// once.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <string>

#include "proto/control.grpc.pb.h"
#include "proto/observe.grpc.pb.h"
#include "tools/cluster/images.h"

namespace pando::cluster {

// The agent could not be asked, or said no.
class ControlError : public std::runtime_error {
 public:
  ControlError(grpc::StatusCode code, const std::string& sentence)
      : std::runtime_error(sentence), code_(code) {}
  grpc::StatusCode code() const { return code_; }

 private:
  grpc::StatusCode code_;
};

class ControlClient {
 public:
  using Limit = std::chrono::nanoseconds;

  // `address`: "host:port"; `tls` without a CA certificate means plaintext.
  ControlClient(std::string node_name, size_t node_id, const std::string& address,
                const v1::TlsMaterial& tls);

  // Sends the image unless the agent has it.  Returns the bytes sent.
  uint64_t ship(const Image& image, Limit limit);
  void start(const v1::Plan& plan, Limit limit);
  v1::StatusReply status(Limit limit);
  void shutdown(bool force, const std::string& reason, Limit limit);
  v1::FaultsReply faults(uint64_t since_sequence, Limit limit);
  v1::AddressSpacesReply address_spaces(Limit limit);
  v1::TraceReply trace(const v1::TraceRequest& request, Limit limit);
  v1::PeekReply peek(const v1::PeekRequest& request, Limit limit);
  void cancel();

  // For streams; the caller owns the context and its cancellation.
  v1::Control::Stub& stub() { return *stub_; }
  const std::string& node_name() const { return node_name_; }

 private:
  template <class Call>
  void unary(const char* what, Limit limit, Call call);
  void require(const grpc::Status& status, const std::string& what) const;

  std::string node_name_, address_;
  std::unique_ptr<v1::Control::Stub> stub_;
  std::unique_ptr<v1::Observe::Stub> observe_;
  std::mutex mutex_;
  grpc::ClientContext* running_ = nullptr;  // under mutex_
  bool cancelled_ = false;                  // under mutex_
};

}  // namespace pando::cluster
