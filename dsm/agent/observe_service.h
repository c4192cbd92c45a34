// SPDX-License-Identifier: Apache-2.0
// What shows a running cluster asks here: gRPC service Observe (proto/observe.proto).
#pragma once

#include <grpcpp/grpcpp.h>

#include "proto/observe.grpc.pb.h"

namespace pando::dsm {

// What the service needs of the agent.  Called on gRPC threads; must not block.
class ObserveBackend {
 public:
  virtual ~ObserveBackend() = default;
  virtual void address_spaces(v1::AddressSpacesReply& reply) = 0;
  virtual void trace(const v1::TraceRequest& request, v1::TraceReply& reply) = 0;
  virtual void peek(const v1::PeekRequest& request, v1::PeekReply& reply) = 0;
};

class ObserveService final : public v1::Observe::CallbackService {
 public:
  explicit ObserveService(ObserveBackend& backend) : backend_(backend) {}

  grpc::ServerUnaryReactor* AddressSpaces(grpc::CallbackServerContext*, const v1::AddressSpacesRequest*,
                                          v1::AddressSpacesReply*) override;
  grpc::ServerUnaryReactor* Trace(grpc::CallbackServerContext*, const v1::TraceRequest*, v1::TraceReply*) override;
  grpc::ServerUnaryReactor* Peek(grpc::CallbackServerContext*, const v1::PeekRequest*, v1::PeekReply*) override;

 private:
  ObserveBackend& backend_;
};

}  // namespace pando::dsm
