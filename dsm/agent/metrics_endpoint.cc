// SPDX-License-Identifier: Apache-2.0
#include "dsm/agent/metrics_endpoint.h"

#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>

#include "base/error.h"

namespace pando::dsm {

namespace {

prometheus::MetricFamily family(const std::string& name, const std::string& help, prometheus::MetricType type) {
  prometheus::MetricFamily f;
  f.name = "pando_dsm_" + name;
  f.help = help;
  f.type = type;
  return f;
}

prometheus::ClientMetric of_node(const v1::StatusReply& status) {
  prometheus::ClientMetric metric;
  metric.label.push_back({"node", std::to_string(status.node())});
  return metric;
}

prometheus::MetricFamily gauge(const v1::StatusReply& status, const std::string& name, const std::string& help,
                               double value) {
  auto f = family(name, help, prometheus::MetricType::Gauge);
  f.metric.push_back(of_node(status));
  f.metric.back().gauge.value = value;
  return f;
}

prometheus::MetricFamily latencies(const v1::StatusReply& status) {
  auto f = family("latency_seconds", "Legs of a page fault, by leg", prometheus::MetricType::Summary);
  for (const v1::Histogram& h : status.latencies()) {
    auto metric = of_node(status);
    metric.label.push_back({"leg", h.name()});
    metric.summary.sample_count = h.count();
    metric.summary.sample_sum = static_cast<double>(h.sum_ns()) * 1e-9;
    metric.summary.quantile = {{0.5, static_cast<double>(h.p50_ns()) * 1e-9},
                               {0.9, static_cast<double>(h.p90_ns()) * 1e-9},
                               {0.99, static_cast<double>(h.p99_ns()) * 1e-9}};
    f.metric.push_back(std::move(metric));
  }
  return f;
}

}  // namespace

class MetricsEndpoint::Collector final : public prometheus::Collectable {
 public:
  explicit Collector(Source source) : source_(std::move(source)) {}
  std::vector<prometheus::MetricFamily> Collect() const override {
    v1::StatusReply status;
    source_(status);
    std::vector<prometheus::MetricFamily> all{latencies(status)};
    for (const v1::Counter& c : status.counters()) {
      auto f = family(c.name() + "_total", "Events since the start: " + c.name(), prometheus::MetricType::Counter);
      f.metric.push_back(of_node(status));
      f.metric.back().counter.value = static_cast<double>(c.value());
      all.push_back(std::move(f));
    }
    all.push_back(gauge(status, "foreign_pages", "Pages of other nodes held here", static_cast<double>(status.pages_foreign())));
    all.push_back(gauge(status, "phase", "Phase of the node, see proto/control.proto", status.phase()));
    for (const v1::PeerStatus& p : status.peers())
      all.push_back(gauge(status, "round_trip_seconds_to_" + std::to_string(p.node()), "Last round trip to that node",
                          static_cast<double>(p.round_trip_ns()) * 1e-9));
    return all;
  }

 private:
  Source source_;
};

struct MetricsEndpoint::Server {
  explicit Server(const std::string& listen) : exposer(listen, 1) {}
  prometheus::Exposer exposer;
};

MetricsEndpoint::MetricsEndpoint(const std::string& listen, Source source)
    : collector_(std::make_shared<Collector>(std::move(source))) {
  try {
    server_ = std::make_unique<Server>(listen);
  } catch (const std::exception& e) {
    throw UserError("cannot serve metrics on " + listen + ": " + e.what());
  }
  server_->exposer.RegisterCollectable(collector_);
}

MetricsEndpoint::~MetricsEndpoint() = default;

}  // namespace pando::dsm
