// SPDX-License-Identifier: Apache-2.0
// The operator's side of an agent: gRPC service Control.  Checks who calls and what they send, then asks the backend.
#pragma once

#include <grpcpp/grpcpp.h>

#include <string>

#include "dsm/agent/console_hub.h"
#include "dsm/agent/event_log.h"
#include "dsm/agent/image_store.h"
#include "proto/control.grpc.pb.h"

namespace pando::dsm {

// What the service needs of the agent.  Called on gRPC threads; must not block for long.
class ControlBackend {
 public:
  virtual ~ControlBackend() = default;
  // Empty, or a sentence that says why not.
  virtual std::string start(const v1::Plan& plan) = 0;
  virtual void shutdown(const v1::ShutdownRequest& request) = 0;
  virtual void status(v1::StatusReply& reply) = 0;
  virtual void faults(const v1::FaultsRequest& request, v1::FaultsReply& reply) = 0;
  virtual void console_input(uint8_t port, const std::string& bytes, bool end_of_file) = 0;
};

class ControlService final : public v1::Control::CallbackService {
 public:
  ControlService(ControlBackend& backend, ImageStore& images, EventLog& events, ConsoleHub& console)
      : backend_(backend), images_(images), events_(events), console_(console) {}

  grpc::ServerUnaryReactor* HasImage(grpc::CallbackServerContext*, const v1::HasImageRequest*,
                                     v1::HasImageReply*) override;
  grpc::ServerReadReactor<v1::ImageChunk>* PutImage(grpc::CallbackServerContext*, v1::PutImageReply*) override;
  grpc::ServerUnaryReactor* Start(grpc::CallbackServerContext*, const v1::Plan*, v1::StartReply*) override;
  grpc::ServerBidiReactor<v1::ConsoleInput, v1::ConsoleOutput>* Console(grpc::CallbackServerContext*) override;
  grpc::ServerWriteReactor<v1::Event>* Events(grpc::CallbackServerContext*, const v1::EventsRequest*) override;
  grpc::ServerUnaryReactor* Status(grpc::CallbackServerContext*, const v1::StatusRequest*, v1::StatusReply*) override;
  grpc::ServerUnaryReactor* Shutdown(grpc::CallbackServerContext*, const v1::ShutdownRequest*,
                                     v1::ShutdownReply*) override;
  grpc::ServerUnaryReactor* Faults(grpc::CallbackServerContext*, const v1::FaultsRequest*, v1::FaultsReply*) override;

 private:
  ControlBackend& backend_;
  ImageStore& images_;
  EventLog& events_;
  ConsoleHub& console_;
};

}  // namespace pando::dsm
