// SPDX-License-Identifier: Apache-2.0
// bench-dsm: real agents of four nodes on loopback, measured against raw TCP and a local userfaultfd fault of the same run.
//
// Two clusters, one after the other: a short one for the legs of a read from a home (with nothing else in the agents'
// histograms), a full one for everything; with --tls one more, short and with TLS.
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
  bool reads_only = false;
  std::string only;  // one phase, printed as it was measured
  bool tls = true;
  bool pin = true;  // each node to one processor: nodes 0 and 2 to the first, 1 and 3 to the second
  v1::Switches switches;
};

[[noreturn]] void usage() {
  std::fprintf(stderr,
               "usage: bench-dsm [--json] [--mib N] [--reads-only] [--no-tls] [--unpinned] [--only PHASE] [--switches JSON]\n"
               "  --mib N        read in sequence (256)\n"
               "  --reads-only   nothing but reads from a home and their legs\n"
               "  --only         sequential, faulters or ping_pong, and a TCP stream: to look where the time goes\n"
               "  --unpinned     nodes may run on any processor (else node N on processor N modulo 2)\n"
               "  --switches     of all nodes, as in proto/node.proto: '{\"hold_us\": 50, \"batching\": false}'\n");
  std::exit(2);
}

Options parse(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--json") o.json = true;
    else if (word == "--mib" && i + 1 < argc) o.mib = std::clamp<uint64_t>(std::strtoull(argv[++i], nullptr, 0), 1, 4096);
    else if (word == "--no-tls") o.tls = false;
    else if (word == "--unpinned") o.pin = false;
    else if (word == "--reads-only") o.reads_only = true;
    else if (word == "--only" && i + 1 < argc) o.only = argv[++i];
    else if (word == "--switches" && i + 1 < argc && google::protobuf::util::JsonStringToMessage(argv[++i], &o.switches).ok())
      continue;
    else
      usage();
  }
  return o;
}

enum class Phases { ReadsOnly, All };
enum class Transport { Plain, Tls };

// name -> p50 p99 mean count, or one value
using Results = std::map<std::string, std::vector<double>>;

struct Run {
  Results results;
  std::map<std::string, std::vector<v1::StatusReply>> marks;  // what the agents told when the worker asked, by node

  // For each page that was read from its home.
  double leg_ns(size_t node, const std::string& name) const {
    return (sum_ns("after_reads", node, name) - sum_ns("before_reads", node, name)) / results.at("read_from_home")[3];
  }

 private:
  double sum_ns(const std::string& mark, size_t node, const std::string& name) const {
    for (const v1::Histogram& h : marks.at(mark).at(node).latencies())
      if (h.name() == name) return static_cast<double>(h.sum_ns());
    return 0;
  }
};

// Answers the worker's new marks.
void answer_marks(test::TestCluster& cluster, const std::string& out, Run& run) {
  std::ifstream file(out);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("mark ") || run.marks.contains(line.substr(5))) continue;
    std::vector<v1::StatusReply>& statuses = run.marks[line.substr(5)];
    for (int n = 0; n < 4; ++n) statuses.push_back(cluster.status(n));
    std::ofstream(out + "." + line.substr(5)).put('\n');
  }
}

Results read_results(const std::string& path) {
  Results results;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    for (double v = 0; words >> v;) results[name].push_back(v);
  }
  return results;
}

Run run_cluster(const Options& o, Phases phases, Transport transport) {
  const std::string out = "/tmp/bench-dsm." + std::to_string(getpid());
  test::TestClusterOptions options;
  options.nodes = 4;
  options.bytes_per_node = (o.mib << 20) + (uint64_t{96} << 20);
  options.worker = test::program_beside("bench-dsm-worker");
  options.arguments = {"--out", out, "--mib", std::to_string(o.mib)};
  for (int n = 0; o.pin && n < 4; ++n)
    options.launch.push_back({"taskset", "-c", std::to_string(n % 2)});
  if (phases == Phases::ReadsOnly) options.arguments.insert(options.arguments.end(), {"--short", "1"});
  if (!o.only.empty()) options.arguments.insert(options.arguments.end(), {"--only", o.only});
  *options.spec.mutable_switches() = o.switches;
  std::optional<test::TestCertificates> certificates;
  if (transport == Transport::Tls) {
    certificates.emplace(std::vector<std::string>{"node-0", "node-1", "node-2", "node-3", "operator"});
    for (int n = 0; n < 4; ++n) options.node_tls.push_back(certificates->of("node-" + std::to_string(n)));
    options.operator_tls = certificates->of("operator");
  }
  Run run;
  {
    test::TestCluster cluster(options);
    for (int n = 0; n < 4; ++n)
      if (!cluster.wait_phase(n, v1::PHASE_RUNNING, std::chrono::seconds(20))) std::exit(1);
    while (cluster.wait(std::chrono::milliseconds(20)).empty()) answer_marks(cluster, out, run);
    (void)cluster.wait(std::chrono::seconds(10));
  }
  for (const auto& [mark, statuses] : run.marks) unlink((out + "." + mark).c_str());
  run.results = read_results(out);
  unlink(out.c_str());
  return run;
}

double median(std::vector<uint64_t> v) {
  std::ranges::sort(v);
  return v.empty() ? 0 : static_cast<double>(v[v.size() / 2]);
}

struct Baseline {
  double tcp_ns = 0;    // round trip, 16 B -> 4 KiB
  double local_ns = 0;  // local userfaultfd fault
  double stream_bytes_per_s = 0;
  double sum_ns() const { return tcp_ns + local_ns; }
};

// What is printed, and what --json prints.
class Report {
 public:
  explicit Report(bool json) : json_(json) {}
  void set(const std::string& name, double value) { metrics_[name] = value; }
  template <class... Args>
  void say(const char* format, Args... args) const {
    if (!json_) std::printf(format, args...);
  }
  void finish() const {
    if (!json_) return;
    const char* comma = "{";
    for (const auto& [name, value] : metrics_) std::printf("%s\"%s\": %.3f", std::exchange(comma, ", "), name.c_str(), value);
    std::printf("}\n");
  }

 private:
  bool json_;
  std::map<std::string, double> metrics_;
};

void add_faults(const Results& r, const Baseline& base, Report& report) {
  static constexpr const char* kNames[] = {"local_fault",  "read_from_home", "three_hop_read", "upgrade",
                                           "invalidate_1", "invalidate_2",   "invalidate_3",   "ping_pong",
                                           "faulters_1",   "faulters_64"};
  report.say("%-16s %9s %9s %9s %10s\n", "", "p50 us", "p99 us", "1/s", "x baseline");
  for (const std::string name : kNames) {
    const auto found = r.find(name);
    if (found == r.end() || found->second.size() != 4) continue;
    const std::vector<double>& v = found->second;
    const auto wall = r.find(name + "_per_second");  // of several threads
    const double rate = wall != r.end() ? wall->second.at(0) : 1e9 / v[2];
    report.set(name + "_p50_us", v[0] / 1e3);
    report.set(name + "_p99_us", v[1] / 1e3);
    report.set(name + "_per_s", rate);
    report.set(name + "_ratio", v[0] / base.sum_ns());
    report.say("%-16s %9.1f %9.1f %9.0f %10.2f\n", name.c_str(), v[0] / 1e3, v[1] / 1e3, rate, v[0] / base.sum_ns());
  }
}

void add_throughput(const Results& r, const Baseline& base, Report& report) {
  const double concurrent = r.at("faulters_64_per_second").at(0) / r.at("faulters_1_per_second").at(0);
  const double sequential = r.at("sequential_bytes_per_second").at(0);
  const std::vector<double>& mib = r.at("sequential_mib");
  report.set("concurrent_ratio", concurrent);
  report.set("sequential_mib_per_s", sequential / 1048576);
  report.set("sequential_ratio", sequential / base.stream_bytes_per_s);
  report.set("sequential_mib_p50_us", mib[0] / 1e3);
  report.set("sequential_mib_p99_us", mib[1] / 1e3);
  report.say("64 faulters: %.2f x the throughput of one\n", concurrent);
  report.say("sequential read: %.0f MiB/s, %.2f x a TCP stream (%.0f MiB/s); per MiB p50 %.0f us, p99 %.0f us\n",
             sequential / 1048576, sequential / base.stream_bytes_per_s, base.stream_bytes_per_s / 1048576, mib[0] / 1e3,
             mib[1] / 1e3);
}

// Node 1 read pages that node 0 had written and mapped.  Means, because those add up.
void add_legs(const Run& run, Report& report) {
  const double total = run.results.at("read_from_home")[2], wait = run.results.at("wait_ns").at(0);
  const double post = run.leg_ns(1, "post"), request = run.leg_ns(1, "request");
  const double answer = run.leg_ns(1, "answer"), install = run.leg_ns(1, "install");
  const double serve = run.leg_ns(0, "serve"), revoke = run.leg_ns(0, "revoke");
  const std::tuple<const char*, const char*, double> legs[] = {
      {"fault", "touch -> SIGBUS handler; page there -> instruction done", total - wait},
      {"post", "posted by the faulting thread -> taken by the agent", post},
      {"request_data", "request written to its stream, data read from its stream", answer - serve},
      {"home", "directory, content read, answer put together", serve - revoke},
      {"revoke", "mappings at the old owner taken away or write-protected", revoke},
      {"install", "page written, page word changed, thread woken", install},
      {"resume", "woken -> thread runs, page mapped", wait - post - request},
  };
  report.say("where the time of a read from a home goes (means):\n");
  for (const auto& [name, what, ns] : legs) {
    report.set(std::string("leg_") + name + "_us", ns / 1e3);
    report.say("  %-13s %7.1f us %4.0f %%  %s\n", name, ns / 1e3, 100 * ns / total, what);
  }
  report.say("  %-13s %7.1f us\n", "sum", total / 1e3);
}

void add_histograms(const Run& run, const Report& report) {
  report.say("histograms of the agents over the whole run (us: p50, p99; count):\n");
  for (const v1::StatusReply& s : run.marks.at("end"))
    for (const v1::Histogram& h : s.latencies())
      if (h.count() != 0)
        report.say("  node %u %-8s %8.1f %9.1f %8lu\n", s.node(), h.name().c_str(), static_cast<double>(h.p50_ns()) / 1e3,
                   static_cast<double>(h.p99_ns()) / 1e3, static_cast<unsigned long>(h.count()));
}

// True if a cluster came to its end and told everything.
bool complete(const Run& run, Phases phases) {
  const auto has = [&](const char* name, size_t values) {
    const auto found = run.results.find(name);
    return found != run.results.end() && found->second.size() == values;
  };
  if (has("local_fault", 4) && has("read_from_home", 4) && has("wait_ns", 1) && run.marks.contains("after_reads") &&
      (phases == Phases::ReadsOnly || (has("sequential_bytes_per_second", 1) && run.marks.contains("end"))))
    return true;
  std::fprintf(stderr, "bench-dsm: the cluster did not finish its measurements\n");
  return false;
}

int measure_one(const Options& o) {
  const double tcp_ns = median(bench::tcp_round_trips(2000));
  const double stream = bench::tcp_stream_bytes_per_second(o.mib << 20);
  const Run run = run_cluster(o, Phases::All, Transport::Plain);
  std::printf("TCP round trip %.1f us, stream %.0f MiB/s\n", tcp_ns / 1e3, stream / 1048576);
  for (const auto& [name, values] : run.results) {
    std::printf("%s", name.c_str());
    for (const double v : values) std::printf(" %.0f", v);
    std::printf("\n");
  }
  const auto sequential = run.results.find("sequential_bytes_per_second");
  if (sequential != run.results.end()) std::printf("sequential: %.3f x the stream\n", sequential->second.at(0) / stream);
  const auto one = run.results.find("faulters_1_per_second"), many = run.results.find("faulters_64_per_second");
  if (one != run.results.end() && many != run.results.end())
    std::printf("64 faulters: %.2f x the throughput of one\n", many->second.at(0) / one->second.at(0));
  return run.results.empty() ? 1 : 0;
}

int measure(const Options& o) {
  if (!o.only.empty()) return measure_one(o);
  Report report(o.json);
  Baseline base;
  base.tcp_ns = median(bench::tcp_round_trips(4000));
  base.stream_bytes_per_s = bench::tcp_stream_bytes_per_second(o.mib << 20);
  const Run reads = run_cluster(o, Phases::ReadsOnly, Transport::Plain);
  if (!complete(reads, Phases::ReadsOnly)) return 1;
  Run all;
  if (!o.reads_only) all = run_cluster(o, Phases::All, Transport::Plain);
  if (!o.reads_only && !complete(all, Phases::All)) return 1;
  base.local_ns = (o.reads_only ? reads : all).results.at("local_fault")[0];
  report.set("tcp_round_trip_us", base.tcp_ns / 1e3);
  report.set("tcp_stream_mib_per_s", base.stream_bytes_per_s / 1048576);
  report.set("baseline_us", base.sum_ns() / 1e3);
  report.say("baseline: TCP 16 B -> 4 KiB %.1f us + local userfaultfd fault %.1f us = %.1f us\n", base.tcp_ns / 1e3,
             base.local_ns / 1e3, base.sum_ns() / 1e3);
  add_faults(o.reads_only ? reads.results : all.results, base, report);
  if (!o.reads_only) add_throughput(all.results, base, report);
  add_legs(reads, report);
  if (o.tls) {
    const Run tls = run_cluster(o, Phases::ReadsOnly, Transport::Tls);
    if (!complete(tls, Phases::ReadsOnly)) return 1;
    const double plain = reads.results.at("read_from_home")[0], encrypted = tls.results.at("read_from_home")[0];
    report.set("tls_read_from_home_p50_us", encrypted / 1e3);
    report.set("tls_price", encrypted / plain);
    report.say("TLS: read from a home p50 %.1f us, %.2f x plaintext (%.1f us)\n", encrypted / 1e3, encrypted / plain, plain / 1e3);
  }
  if (!o.reads_only) add_histograms(all, report);
  report.finish();
  return 0;
}

}  // namespace

int main(int argc, char** argv) try {
  return measure(parse(argc, argv));
} catch (const std::exception& e) {
  std::fprintf(stderr, "bench-dsm: %s\n", e.what());
  return 1;
}
