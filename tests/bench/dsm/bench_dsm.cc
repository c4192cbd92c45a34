// SPDX-License-Identifier: Apache-2.0
// bench-dsm [--json] [--mib N] [--tls] [--switches JSON]: real agents of four nodes on loopback, measured against raw TCP and a
// local userfaultfd fault of the same run.
#include <google/protobuf/util/json_util.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <utility>

#include "tests/bench/dsm/tcp_baseline.h"
#include "tests/coherence/test_certificates.h"
#include "tests/coherence/test_cluster.h"

namespace {

using namespace pando;

struct Options {
  bool json = false;
  uint64_t mib = 256;
  bool tls = false;
  bool reads_only = false;
  bool pin = true;  // each node to one processor: nodes 0 and 2 to the first, 1 and 3 to the second
  v1::Switches switches;
};

Options parse(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--json") o.json = true;
    else if (word == "--mib" && i + 1 < argc) o.mib = std::strtoull(argv[++i], nullptr, 0);
    else if (word == "--tls") o.tls = true;
    else if (word == "--unpinned") o.pin = false;
    else if (word == "--reads-only") o.reads_only = true;
    else if (word == "--switches" && i + 1 < argc && google::protobuf::util::JsonStringToMessage(argv[++i], &o.switches).ok())
      continue;
    else {
      std::fprintf(stderr, "usage: bench-dsm [--json] [--mib N] [--tls] [--switches '{\"hold_us\": 50, ...}']\n");
      std::exit(2);
    }
  }
  return o;
}

// name -> p50 p99 mean count, or one value
using Results = std::map<std::string, std::vector<double>>;

Results run_cluster(const Options& o, std::vector<v1::StatusReply>& statuses) {
  const std::string out = "/tmp/bench-dsm." + std::to_string(getpid());
  test::TestClusterOptions options;
  options.nodes = 4;
  options.bytes_per_node = (o.mib << 20) + (uint64_t{96} << 20);
  options.worker = test::program_beside("bench-dsm-worker");
  options.arguments = {"--out", out};
  for (int n = 0; o.pin && n < 4; ++n)
    options.launch.push_back({"taskset", "-c", std::to_string(n % 2)});
  if (o.reads_only) options.arguments.insert(options.arguments.end(), {"--short", "1"});
  *options.spec.mutable_switches() = o.switches;
  std::optional<test::TestCertificates> certificates;
  if (o.tls) {
    certificates.emplace(std::vector<std::string>{"node-0", "node-1", "node-2", "node-3", "operator"});
    for (int n = 0; n < 4; ++n) options.node_tls.push_back(certificates->of("node-" + std::to_string(n)));
    options.operator_tls = certificates->of("operator");
  }
  {
    test::TestCluster cluster(options);
    for (int n = 0; n < 4; ++n)
      if (!cluster.wait_phase(n, v1::PHASE_RUNNING, std::chrono::seconds(20))) std::exit(1);
    // The legs are read while the cluster lives: shortly before its end, as far as that can be had from outside.
    for (std::map<int, test::TestCluster::NodeEnd> ends; ends.size() < 4; ends = cluster.wait(std::chrono::milliseconds(500))) {
      try {
        std::vector<v1::StatusReply> now;
        for (int n = 0; n < 4; ++n) now.push_back(cluster.status(n));
        statuses = now;
      } catch (const std::exception&) {
        continue;
      }
    }
  }
  Results results;
  std::ifstream file(out);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    for (double v = 0; words >> v;) results[name].push_back(v);
  }
  unlink(out.c_str());
  return results;
}

double median(std::vector<uint64_t> v) {
  std::ranges::sort(v);
  return v.empty() ? 0 : static_cast<double>(v[v.size() / 2]);
}

using Metrics = std::map<std::string, double>;

void add_faults(Results& r, double base_ns, Metrics& metrics, bool quiet) {
  for (const char* name : {"remote_read_from_home", "three_hop_read", "upgrade", "invalidate_1", "invalidate_2", "invalidate_3"}) {
    const std::vector<double>& v = r[name];
    if (v.size() != 4) continue;
    metrics[std::string(name) + "_p50_us"] = v[0] / 1e3;
    metrics[std::string(name) + "_p99_us"] = v[1] / 1e3;
    metrics[std::string(name) + "_ratio"] = v[0] / base_ns;
    if (!quiet)
      std::printf("%-24s p50 %7.1f us  p99 %8.1f us  %.2f x baseline\n", name, v[0] / 1e3, v[1] / 1e3, v[0] / base_ns);
  }
}

void add_throughput(Results& r, double tcp_stream, Metrics& metrics, bool quiet) {
  const double one = r["faults_per_second_1"].at(0), many = r["faults_per_second_64"].at(0);
  const double sequential = r["sequential_bytes_per_second"].at(0);
  metrics["ping_pong_round_us"] = r["ping_pong_round_ns"].at(0) / 1e3;
  metrics["faults_per_s_1"] = one;
  metrics["faults_per_s_64"] = many;
  metrics["concurrent_ratio"] = many / one;
  metrics["sequential_mib_per_s"] = sequential / 1048576;
  metrics["sequential_ratio"] = sequential / tcp_stream;
  if (quiet) return;
  std::printf("%-24s %.1f us per round\n", "ping_pong", metrics["ping_pong_round_us"]);
  std::printf("%-24s 1 thread %.0f /s, 64 threads %.0f /s: %.2f x\n", "concurrent faults", one, many, many / one);
  std::printf("%-24s %.0f MiB/s, %.2f x TCP stream\n", "sequential read", sequential / 1048576, sequential / tcp_stream);
}

void print_json(const Metrics& metrics) {
  std::printf("{");
  const char* comma = "";
  for (const auto& [name, value] : metrics)
    std::printf("%s\"%s\": %.3f", std::exchange(comma, ", "), name.c_str(), value);
  std::printf("}\n");
}

void print_legs(const std::vector<v1::StatusReply>& statuses) {
  std::printf("legs (us, p50 / p99 / count):\n");
  for (const v1::StatusReply& s : statuses)
    for (const v1::Histogram& h : s.latencies())
      if (h.count() != 0)
        std::printf("  node %u %-8s %8.1f %9.1f %8lu\n", s.node(), h.name().c_str(), static_cast<double>(h.p50_ns()) / 1e3,
                    static_cast<double>(h.p99_ns()) / 1e3, static_cast<unsigned long>(h.count()));
}

}  // namespace

int main(int argc, char** argv) {
  const Options o = parse(argc, argv);
  const double tcp_ns = median(bench::tcp_round_trips(4000));
  const double tcp_stream = bench::tcp_stream_bytes_per_second(o.mib << 20);
  std::vector<v1::StatusReply> statuses;
  Results r = run_cluster(o, statuses);
  const bool complete = o.reads_only ? r["remote_read_from_home"].size() == 4 : r.contains("sequential_bytes_per_second");
  if (!complete || r["local_fault"].size() != 4) {
    std::fprintf(stderr, "bench-dsm: the cluster did not finish its measurements\n");
    return 1;
  }
  const double local_ns = r["local_fault"][0];
  const double base_ns = tcp_ns + local_ns;
  Metrics metrics{{"tcp_round_trip_us", tcp_ns / 1e3},
                  {"local_fault_us", local_ns / 1e3},
                  {"tcp_stream_mib_per_s", tcp_stream / 1048576}};
  if (!o.json)
    std::printf("baseline: TCP 16 B -> 4 KiB %.1f us + local userfaultfd fault %.1f us = %.1f us; TCP stream %.0f MiB/s\n",
                tcp_ns / 1e3, local_ns / 1e3, base_ns / 1e3, tcp_stream / 1048576);
  add_faults(r, base_ns, metrics, o.json);
  if (!o.reads_only) add_throughput(r, tcp_stream, metrics, o.json);
  if (o.json)
    print_json(metrics);
  else
    print_legs(statuses);
  return 0;
}
