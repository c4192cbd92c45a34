// SPDX-License-Identifier: Apache-2.0
// bench-trace [--json]: what tracing costs on the path of a fault.  One of two real agents reads pages that the other
// one writes (bench_trace_worker.cc); tracing is switched on and off in turns within the same run, its reader included.
// Off: the price of the checks, counted directly.
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

#include "dsm/agent/trace_ring.h"
#include "proto/observe.grpc.pb.h"
#include "tests/coherence/test_cluster.h"

namespace {

using namespace pando;
using Clock = std::chrono::steady_clock;

constexpr int kPairs = 16;  // slices with tracing off, then on
constexpr std::chrono::milliseconds kSlice{900}, kDrain{180};
constexpr int kHooksPerFault = 8;  // request, forward, data, done; sent and received, at most

class Tracer {
 public:
  explicit Tracer(const std::string& address)
      : stub_(v1::Observe::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()))) {}
  void set(v1::TraceSwitch to) {
    v1::TraceRequest request;
    request.set_set(to);
    request.set_since_sequence(next_);
    v1::TraceReply reply;
    grpc::ClientContext context;
    const grpc::Status status = stub_->Trace(&context, request, &reply);
    if (!status.ok()) throw std::runtime_error("Trace: " + status.error_message());
    events += static_cast<uint64_t>(reply.events_size());
    lost += reply.lost();
    next_ = reply.next_sequence();
  }
  uint64_t events = 0, lost = 0;

 private:
  std::unique_ptr<v1::Observe::Stub> stub_;
  uint64_t next_ = 0;
};

uint64_t faults_of(test::TestCluster& cluster) {
  return cluster.status(0).faults_remote() + cluster.status(1).faults_remote();
}

// Faults per second over one slice.
double slice(test::TestCluster& cluster, std::vector<Tracer>& tracers, v1::TraceSwitch to) {
  for (Tracer& t : tracers) t.set(to);
  const auto begun = Clock::now();
  const uint64_t before = faults_of(cluster);
  while (Clock::now() - begun < kSlice) {
    std::this_thread::sleep_for(kDrain);
    if (to == v1::TRACE_ON)
      for (Tracer& t : tracers) t.set(to);
  }
  const uint64_t after = faults_of(cluster);
  return static_cast<double>(after - before) / std::chrono::duration<double>(Clock::now() - begun).count();
}

double median(std::vector<double> v) {
  std::ranges::sort(v);
  return v[v.size() / 2];
}

// Nanoseconds of one check while tracing is off.
double off_ns() {
  static dsm::TraceRing ring;
  dsm::Message message;
  message.type = dsm::MessageType::GetM;
  constexpr int kCalls = 20'000'000;
  const auto begun = Clock::now();
  for (int i = 0; i < kCalls; ++i) {
    ring.page_message(v1::TRACE_PAGE_SENT, NodeId(1), message);
    asm volatile("" ::: "memory");
  }
  return std::chrono::duration<double, std::nano>(Clock::now() - begun).count() / kCalls;
}

}  // namespace

int main(int argc, char** argv) {
  const bool json = argc > 1 && std::strcmp(argv[1], "--json") == 0;
  test::TestClusterOptions options;
  options.worker = test::program_beside("bench-trace-worker");
  options.arguments = {"--seconds", "90"};
  for (int n = 0; n < 2; ++n) options.launch.push_back({"taskset", "-c", std::to_string(n % 2)});
  test::TestCluster cluster(options);
  for (int n = 0; n < 2; ++n)
    if (!cluster.wait_phase(n, v1::PHASE_RUNNING, std::chrono::seconds(20))) return 1;
  std::vector<Tracer> tracers;
  for (int n = 0; n < 2; ++n) tracers.emplace_back(cluster.address(n));
  std::vector<double> off, on, ratios;
  for (int i = 0; i < kPairs; ++i) {
    off.push_back(slice(cluster, tracers, v1::TRACE_OFF));
    on.push_back(slice(cluster, tracers, v1::TRACE_ON));
    ratios.push_back(off.back() / on.back());
  }
  const double off_us = 1e6 / median(off), on_us = 1e6 / median(on), check = off_ns();
  const double on_cost = median(ratios) - 1, off_cost = check * kHooksPerFault / (off_us * 1e3);
  const uint64_t events = tracers[0].events + tracers[1].events, lost = tracers[0].lost + tracers[1].lost;
  if (json) {
    std::printf("{\"fault_off_us\": %.2f, \"fault_on_us\": %.2f, \"on_cost_percent\": %.2f, \"off_check_ns\": %.3f, "
                "\"off_cost_percent\": %.5f, \"events\": %lu, \"lost\": %lu}\n", off_us, on_us, on_cost * 100, check,
                off_cost * 100, static_cast<unsigned long>(events), static_cast<unsigned long>(lost));
  } else {
    std::printf("%-22s %8.1f us per remote fault (baseline)\n", "tracing off", off_us);
    std::printf("%-22s %8.1f us: %+.1f %%; %lu events, %lu lost\n", "tracing on", on_us, on_cost * 100,
                static_cast<unsigned long>(events), static_cast<unsigned long>(lost));
    std::printf("%-22s %8.2f ns, %d times per fault: %.4f %% of it\n", "check while off", check, kHooksPerFault, off_cost * 100);
  }
  return events > 0 ? 0 : 1;
}
