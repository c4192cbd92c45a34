// SPDX-License-Identifier: Apache-2.0
#include "dsm/agent/metrics_endpoint.h"

#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>

#include <array>
#include <limits>
#include <map>

#include "base/error.h"

namespace pando::dsm {

namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr double kSecondsPerNs = 1e-9;

// Upper ends of the histograms' buckets, in seconds: from one step of a local fault to a lost node's time limit.
constexpr std::array kBucketSeconds = {5e-6, 10e-6, 20e-6, 50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 2e-3,
                                       5e-3, 10e-3, 20e-3, 50e-3, 100e-3, 200e-3, 500e-3, 1.0, 2.0, 5.0, 10.0};

struct Meaning {
  const char* counter;  // of Control.Status
  const char* name;     // of the metric, without prefix and "_total"
  const char* help;
};
constexpr std::array kCounters = {
    Meaning{"requests_read", "read_requests", "Pages asked for to be read"},
    Meaning{"requests_write", "write_requests", "Pages asked for to be written"},
    Meaning{"prefetches", "prefetches", "Pages asked for ahead of a thread that reads in sequence"},
    Meaning{"pages_in", "received_pages", "Pages that came with their content"},
    Meaning{"zero_pages_in", "received_zero_pages", "Pages that came as all zero, without content"},
    Meaning{"pages_out", "sent_pages", "Pages sent to other nodes"},
    Meaning{"invalidations", "invalidations", "Pages taken away from this node because another one writes them"},
    Meaning{"downgrades", "downgrades", "Pages that this node may only read from then on"},
    Meaning{"evictions", "evictions", "Pages of other nodes given back because the cache was full"},
    Meaning{"parked", "parked_messages", "Messages that waited for the end of a page's hold"},
    Meaning{"stale_epoch", "stale_messages", "Messages of an earlier incarnation, ignored"},
    Meaning{"overload", "overloads", "Messages refused because too many pages were busy"},
    Meaning{"protocol_errors", "protocol_errors", "Messages that cannot be; their sender is given up"},
};

// One scrape: families by name, so that metrics of several peers stand together.
class Page {
 public:
  explicit Page(const v1::StatusReply& status) : status_(status) {}

  ClientMetric& add(MetricType type, const std::string& name, const std::string& help) {
    MetricFamily& family = families_[name];
    family.name = name;
    family.help = help;
    family.type = type;
    ClientMetric& metric = family.metric.emplace_back();
    metric.label.push_back({"node", status_.node_name()});
    return metric;
  }
  void counter(const std::string& name, const std::string& help, double value, const std::string& peer = {}) {
    ClientMetric& metric = add(MetricType::Counter, name, help);
    if (!peer.empty()) metric.label.push_back({"peer", peer});
    metric.counter.value = value;
  }
  void gauge(const std::string& name, const std::string& help, double value, const std::string& peer = {}) {
    ClientMetric& metric = add(MetricType::Gauge, name, help);
    if (!peer.empty()) metric.label.push_back({"peer", peer});
    metric.gauge.value = value;
  }
  std::vector<MetricFamily> take() {
    std::vector<MetricFamily> all;
    for (auto& [name, family] : families_) all.push_back(std::move(family));
    return all;
  }

 private:
  const v1::StatusReply& status_;
  std::map<std::string, MetricFamily> families_;
};

void add_leg(Page& page, const v1::Histogram& h) {
  ClientMetric& metric = page.add(MetricType::Histogram, "pando_fault_leg_seconds",
                                  "Time that each leg of serving a page fault took; docs/observe.md names the legs");
  metric.label.push_back({"leg", h.name()});
  metric.histogram.sample_sum = static_cast<double>(h.sum_ns()) * kSecondsPerNs;
  uint64_t below = 0;
  int next = 0;
  for (const double end : kBucketSeconds) {
    while (next < h.buckets_size() && static_cast<double>(h.buckets(next).upper_ns()) * kSecondsPerNs <= end)
      below += h.buckets(next++).count();
    metric.histogram.bucket.push_back({below, end});
  }
  while (next < h.buckets_size()) below += h.buckets(next++).count();
  metric.histogram.bucket.push_back({below, std::numeric_limits<double>::infinity()});
  metric.histogram.sample_count = below;
}

void add_peer(Page& page, const v1::PeerStatus& p) {
  const auto number = [](uint64_t n) { return static_cast<double>(n); };
  page.counter("pando_peer_received_bytes_total", "Bytes received from the peer's agent", number(p.bytes_in()), p.name());
  page.counter("pando_peer_received_frames_total", "Frames received from the peer's agent", number(p.frames_in()), p.name());
  page.counter("pando_peer_received_pages_total", "Pages received from the peer with their content", number(p.pages_in()),
               p.name());
  page.counter("pando_peer_received_page_messages_total", "Messages about pages received from the peer",
               number(p.page_messages_in()), p.name());
  page.counter("pando_peer_received_fabric_messages_total", "Interrupts, shoot-downs and others received from the peer",
               number(p.fabric_in()), p.name());
  page.gauge("pando_peer_connected", "1 when both streams to the peer stand", p.connected(), p.name());
  page.gauge("pando_peer_round_trip_seconds", "Last round trip to the peer and back",
             number(p.round_trip_ns()) * kSecondsPerNs, p.name());
  page.gauge("pando_peer_clock_offset_seconds", "The peer's monotonic clock minus that of this node",
             static_cast<double>(p.clock_offset_ns()) * kSecondsPerNs, p.name());
  if (p.clock_error_ns() != UINT64_MAX)
    page.gauge("pando_peer_clock_error_seconds", "Largest error of the clock offset",
               number(p.clock_error_ns()) * kSecondsPerNs, p.name());
}

}  // namespace

class MetricsEndpoint::Collector final : public prometheus::Collectable {
 public:
  explicit Collector(Source source) : source_(std::move(source)) {}
  std::vector<MetricFamily> Collect() const override {
    v1::StatusReply status;
    source_(status);
    Page page(status);
    ClientMetric& info = page.add(MetricType::Gauge, "pando_node_info", "Always 1; who this node is");
    info.label.push_back({"cluster", status.cluster_name()});
    info.gauge.value = 1;
    page.gauge("pando_node_phase", "Phase of the node: 4 = running; all in proto/control.proto", status.phase());
    page.gauge("pando_node_home_pages", "Pages of guest memory that this node contributes",
               static_cast<double>(status.pages_home()));
    page.gauge("pando_node_foreign_pages", "Pages of other nodes held here", static_cast<double>(status.pages_foreign()));
    page.counter("pando_agent_cpu_seconds_total", "CPU time of the agent",
                 static_cast<double>(status.agent_cpu_ns()) * kSecondsPerNs);
    page.counter("pando_guest_cpu_seconds_total", "CPU time of the node's machine, guest user code included",
                 static_cast<double>(status.vmm_cpu_ns()) * kSecondsPerNs);
    page.counter("pando_remote_faults_total", "Page faults of the guest that waited for another node",
                 static_cast<double>(status.faults_remote()));
    for (const Meaning& m : kCounters)
      for (const v1::Counter& c : status.counters())
        if (c.name() == m.counter)
          page.counter(std::string("pando_dsm_") + m.name + "_total", m.help, static_cast<double>(c.value()));
    for (const v1::Histogram& h : status.latencies()) add_leg(page, h);
    for (const v1::PeerStatus& p : status.peers()) add_peer(page, p);
    return page.take();
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
    throw UserError("cannot serve metrics on " + listen + ": is the address on this host, and the port free? (" + e.what() +
                    ")");
  }
  server_->exposer.RegisterCollectable(collector_);
  const auto ports = server_->exposer.GetListeningPorts();
  address_ = ports.empty() ? listen : listen.substr(0, listen.rfind(':') + 1) + std::to_string(ports.front());
}

MetricsEndpoint::~MetricsEndpoint() = default;

}  // namespace pando::dsm
