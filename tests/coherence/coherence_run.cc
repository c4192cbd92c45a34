// SPDX-License-Identifier: Apache-2.0
// coherence-run WORKER [--nodes N] [--seconds LIMIT] [--cache-pages N] [--bytes-per-node N] [--hosts PREFIX] [-- ARGS...]
// Runs a cluster of real agents whose VMMs are coherence-WORKER-worker.  Succeeds when the worker ends the cluster with
// 0, on every node, within the limit.  With --hosts each agent runs in the network namespace PREFIX-h1, PREFIX-h2, ...
// that tools/namespaces made.
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/coherence/test_cluster.h"

namespace {

using namespace pando;

struct Options {
  test::TestClusterOptions cluster;
  std::chrono::seconds limit{60};
};

[[noreturn]] void usage() {
  std::fprintf(stderr, "usage: coherence-run WORKER [--nodes N] [--seconds LIMIT] [--cache-pages N] [--bytes-per-node N] "
                       "[--hosts PREFIX] [-- ARGS...]\n");
  std::exit(2);
}

void put_on_hosts(test::TestClusterOptions& cluster, const std::string& prefix) {
  for (int n = 1; n <= cluster.nodes; ++n) {
    cluster.launch.push_back({"ip", "netns", "exec", prefix + "-h" + std::to_string(n)});
    cluster.addresses.push_back("10.77.0." + std::to_string(n));
  }
}

Options parse(int argc, char** argv) {
  Options o;
  std::string prefix;
  if (argc < 2) usage();
  o.cluster.worker = test::program_beside("coherence-" + std::string(argv[1]) + "-worker");
  for (int i = 2; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--") {
      o.cluster.arguments.assign(argv + i + 1, argv + argc);
      break;
    }
    if (i + 1 >= argc) usage();
    const char* value = argv[++i];
    if (word == "--nodes") o.cluster.nodes = std::atoi(value);
    else if (word == "--seconds") o.limit = std::chrono::seconds(std::atoi(value));
    else if (word == "--cache-pages") o.cluster.spec.set_cache_bytes(std::strtoull(value, nullptr, 0) << 12);
    else if (word == "--bytes-per-node") o.cluster.bytes_per_node = std::strtoull(value, nullptr, 0);
    else if (word == "--hosts") prefix = value;
    else usage();
  }
  if (!prefix.empty()) put_on_hosts(o.cluster, prefix);
  return o;
}

}  // namespace

int main(int argc, char** argv) {
  const Options o = parse(argc, argv);
  test::TestCluster cluster(o.cluster);
  const auto ends = cluster.wait(o.limit);
  int good = 0;
  for (const auto& [node, end] : ends) {
    if (end.exit && end.exit->reason() == v1::EXIT_POWER_OFF && end.exit->code() == 0 && end.wait_status == 0) ++good;
    else
      std::printf("coherence-run: node %d: %s\n", node, end.exit ? end.exit->message().c_str() : "ended without a word");
  }
  for (int n = 0; n < o.cluster.nodes; ++n)
    if (!ends.contains(n)) std::printf("coherence-run: node %d did not end\n", n);
  std::printf("coherence-run: %d of %d nodes ended well\n", good, o.cluster.nodes);
  return good == o.cluster.nodes ? 0 : 1;
}
