// SPDX-License-Identifier: Apache-2.0
// fuzz-dsm [--seconds N] [--seed N]: real agents against hostile peers and hostile clients.  An agent may end its
// cluster, with a sentence; it may not crash, hang, or leave its VMM behind.  Prints the seed of each round.
#include <grpcpp/grpcpp.h>
#include <sys/wait.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/coherence/test_cluster.h"
#include "tests/fuzz/hostile_peer.h"

namespace {

using namespace pando;
using std::chrono::milliseconds;

// Empty, or what is wrong.
std::string judge(const std::map<int, test::TestCluster::NodeEnd>& ends, int nodes) {
  for (int n = 0; n < nodes; ++n) {
    if (!ends.contains(n)) return "agent " + std::to_string(n) + " did not end";
    const auto& end = ends.at(n);
    if (WIFSIGNALED(end.wait_status)) return "agent died of signal " + std::to_string(WTERMSIG(end.wait_status));
    if (!end.exit || end.exit->message().empty()) return "agent ended without saying why";
    std::printf("fuzz-dsm:   node %d: %s\n", n, end.exit->message().c_str());
  }
  return {};
}

std::string peer_round(uint64_t seed, uint64_t& frames) {
  test::TestClusterOptions o;
  o.nodes = 2;
  o.bytes_per_node = 1 << 20;
  o.worker = test::program_beside("coherence-busy-worker");
  o.absent_node = 1;
  o.spec.set_log_level("off");
  o.spec.mutable_timeouts()->set_connect_ms(2'000);
  o.spec.mutable_timeouts()->set_shutdown_ms(100);
  test::TestCluster cluster(o);
  std::mt19937_64 random(seed);
  frames += test::attack(cluster.address(0), cluster.plan(), random, 300).frames;
  auto ends = cluster.wait(milliseconds(15'000));
  ends.erase(1);
  return judge(ends, 1);
}

std::string client_round(uint64_t seed) {
  test::TestClusterOptions o;
  o.nodes = 2;
  o.bytes_per_node = 1 << 20;
  o.worker = test::program_beside("fuzz-client-worker");
  o.arguments = {"--seed", std::to_string(seed)};
  o.spec.mutable_timeouts()->set_shutdown_ms(100);
  o.spec.set_log_level("off");
  test::TestCluster cluster(o);
  // A client that broke its own rings may sit there quietly for ever: then the operator ends the cluster.
  auto ends = cluster.wait(milliseconds(1'500));
  if (ends.size() < 2) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + milliseconds(5'000));
    v1::ShutdownReply reply;
    (void)cluster.control(0).Shutdown(&context, {}, &reply);
    ends = cluster.wait(milliseconds(15'000));
  }
  return judge(ends, 2);
}

}  // namespace

int main(int argc, char** argv) {
  uint64_t seconds = 20, seed = 1;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::string(argv[i]) == "--seconds") seconds = std::strtoull(argv[i + 1], nullptr, 0);
    if (std::string(argv[i]) == "--seed") seed = std::strtoull(argv[i + 1], nullptr, 0);
  }
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  uint64_t rounds = 0, frames = 0;
  for (; rounds < 2 || std::chrono::steady_clock::now() < until; ++rounds, ++seed) {
    const bool peer = rounds % 2 == 0;
    const auto begun = std::chrono::steady_clock::now();
    const std::string wrong = peer ? peer_round(seed, frames) : client_round(seed);
    const auto took = std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begun);
    std::printf("fuzz-dsm: %s round, seed %lu: %ld ms\n", peer ? "peer" : "client", seed, static_cast<long>(took.count()));
    std::fflush(stdout);
    if (wrong.empty()) continue;
    std::printf("fuzz-dsm: FAILED: %s round, seed %lu: %s\n", peer ? "peer" : "client", seed, wrong.c_str());
    return 1;
  }
  std::printf("fuzz-dsm: ok: %lu rounds, %lu hostile frames, next seed %lu\n", rounds, frames, seed);
  return frames > 0 ? 0 : 1;
}
