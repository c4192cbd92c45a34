// SPDX-License-Identifier: Apache-2.0
#include "tools/check/judge.h"

#include <algorithm>

#include "tests/catch.h"
#include "tools/check/host_report.h"

using namespace pando;
using namespace pando::check;
using Catch::Matchers::ContainsSubstring;

namespace {

config::ClusterConfig two_nodes() {
  return config::parse_cluster_config(
      "[[node]]\nname = \"a\"\nmemory = \"256MiB\"\nvcpus = 1\ncache = \"64MiB\"\n"
      "[[node]]\nname = \"b\"\nmemory = \"512MiB\"\nvcpus = 1\n",
      "t.toml");
}

NodeReport good_host() {
  NodeReport report;
  v1::HostReport& host = report.host;
  host.set_version("1");
  host.set_kernel_release("6.12.1-amd64");
  host.set_machine("x86_64");
  for (const UffdFeature& feature : needed_uffd_features()) {
    host.set_userfaultfd_features(host.userfaultfd_features() | feature.bit);
  }
  host.set_max_map_count(65530);
  host.set_memory_available_bytes(uint64_t{4} << 30);
  for (const char* flag : {"avx", "fsgsbase", "sse2"}) host.add_cpu_flags(flag);
  return report;
}

// Everything that is not fine, as one text per finding.
std::vector<std::string> complaints(const NodeReport& a, const NodeReport& b) {
  std::vector<std::string> out;
  for (const Finding& f : judge(two_nodes(), {a, b})) {
    if (f.severity == Severity::Fine) continue;
    out.push_back((f.severity == Severity::Error ? "error " : "warning ") + f.node + ": " +
                  f.sentence + "; " + f.remedy);
  }
  return out;
}

// The single complaint when node b's host is changed like this.
std::string complaint(const std::function<void(NodeReport&)>& change) {
  NodeReport b = good_host();
  change(b);
  const auto all = complaints(good_host(), b);
  return all.size() == 1 ? all.front() : std::to_string(all.size()) + " complaints";
}

}  // namespace

TEST_CASE("check: judge: good hosts give no complaint, and each finding has a word") {
  CHECK(complaints(good_host(), good_host()).empty());
  const auto findings = judge(two_nodes(), {good_host(), good_host()});
  CHECK(findings.size() >= 8);
  CHECK(std::all_of(findings.begin(), findings.end(),
                    [](const Finding& f) { return !f.sentence.empty(); }));
}

TEST_CASE("check: judge: each defect is one complaint with its remedy") {
  CHECK(complaint([](NodeReport& r) { r.host.set_kernel_release("6.1.0"); }) ==
        "error b: Linux 6.1.0 on x86_64 is too old; install Linux 6.4 or newer");
  CHECK(complaint([](NodeReport& r) { r.host.set_machine("aarch64"); }) ==
        "error b: Linux 6.12.1-amd64 on aarch64: Pando runs on x86_64; use another host");
  CHECK_THAT(
      complaint([](NodeReport& r) {
        r.host.set_userfaultfd_error("userfaultfd: Operation not permitted");
      }),
      ContainsSubstring("error b: userfaultfd: Operation not permitted; allow the system call"));
  CHECK(complaint([](NodeReport& r) {
          r.host.set_userfaultfd_features(needed_uffd_features()[0].bit);
        }) ==
        "error b: userfaultfd lacks: missing pages of shared memory (Linux 4.11), minor faults of "
        "shared memory "
        "(Linux 5.14), write protection of shared memory (Linux 5.19); install Linux 6.4 or newer");
  CHECK(complaint([](NodeReport& r) { r.host.set_max_map_count(1000); }) ==
        "warning b: vm.max_map_count is 1000: big guests will be slow; sysctl -w "
        "vm.max_map_count=262144");
  CHECK(complaint([](NodeReport& r) { r.host.set_address_space_limited(true); }) ==
        "error b: the address space of processes is limited; ulimit -v unlimited");
  CHECK(complaint([](NodeReport& r) { r.host.set_memory_available_bytes(uint64_t{100} << 20); }) ==
        "error b: 100 MiB of memory are available, the node's own share is 512 MiB; lower memory "
        "of this node");
  CHECK(complaint([](NodeReport& r) { r.host.set_memory_available_bytes(uint64_t{600} << 20); }) ==
        "warning b: 600 MiB of memory are available, with pages of other nodes it may need 768 "
        "MiB; set or lower "
        "cache of this node");
  CHECK(complaint([](NodeReport& r) { r.host.set_listen_error("Address already in use"); }) ==
        "error b: cannot listen on 127.0.0.1:0: Address already in use; correct listen of this "
        "node, or end what "
        "uses the port");
  CHECK(complaint([](NodeReport& r) { r.host.add_programs_missing("/x/pando-vmm"); }) ==
        "error b: /x/pando-vmm is not there; build it with tools/build");
  CHECK(complaint([](NodeReport& r) { r.host.set_version("2"); }) ==
        "error b: has version 2, node a has 1; install the same version on both");
  CHECK(complaint([](NodeReport& r) { r.clock_ahead = std::chrono::seconds(-10); }) ==
        "warning b: the clock is 10.0 s off; set the clocks by NTP");
  CHECK(complaint([](NodeReport& r) { r.clock_ahead = std::chrono::hours(2); }) ==
        "error b: the clock is 7200.0 s off: certificates would be refused; set the clocks by NTP");
  CHECK(complaint([](NodeReport& r) {
          r.clock_ahead = std::chrono::seconds(5);
          r.clock_error = std::chrono::seconds(4);
        }) == "0 complaints");
}

TEST_CASE("check: judge: processors: the features that differ are named in both directions") {
  CHECK(complaint([](NodeReport& r) {
          r.host.clear_cpu_flags();
          for (const char* flag : {"avx", "avx512f", "sse2"}) r.host.add_cpu_flags(flag);
        }) ==
        "error b: the processor differs from that of node a: -fsgsbase +avx512f; use hosts with "
        "the same "
        "processor features");
}
