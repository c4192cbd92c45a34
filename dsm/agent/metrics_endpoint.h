// SPDX-License-Identifier: Apache-2.0
// Prometheus endpoint of the agent: what Control.Status tells, in Prometheus' format, on a loopback address.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "proto/control.pb.h"

namespace pando::dsm {

class MetricsEndpoint {
 public:
  using Source = std::function<void(v1::StatusReply&)>;  // called on the endpoint's own threads
  // Throws UserError when the address cannot be had.
  MetricsEndpoint(const std::string& listen, Source source);
  ~MetricsEndpoint();

 private:
  class Collector;
  struct Server;
  std::shared_ptr<Collector> collector_;
  std::unique_ptr<Server> server_;
};

}  // namespace pando::dsm
