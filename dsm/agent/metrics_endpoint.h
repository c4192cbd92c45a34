// SPDX-License-Identifier: Apache-2.0
// Prometheus endpoint of the agent: what Control.Status tells, in Prometheus' format.  On loopback, unless the operator
// allows more: the page has no protection of its own.
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

  // "127.0.0.1:9100", with the real port.
  const std::string& address() const { return address_; }

 private:
  class Collector;
  struct Server;
  std::shared_ptr<Collector> collector_;
  std::unique_ptr<Server> server_;
  std::string address_;
};

}  // namespace pando::dsm
