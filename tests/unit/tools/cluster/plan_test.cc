// SPDX-License-Identifier: Apache-2.0
#include "tools/cluster/plan.h"

#include "base/error.h"
#include "tests/catch.h"

using namespace pando;
using namespace pando::cluster;

namespace {

config::ClusterConfig two_nodes() {
  return config::parse_cluster_config(R"(
append = "quiet"
[timeouts]
node_loss = "1500ms"
[switches]
hold = "150us"
batching = false
[[node]]
name = "a"
memory = "256MiB"
vcpus = 1
cpus = "0-1,3"
listen = "0.0.0.0:0"
address = "hosta"
[[node]]
name = "b"
memory = "768MiB"
vcpus = 3
cache = "64MiB"
listen = "10.0.0.2:7711"
launch = ["ssh", "u@b"]
program = "/opt/pando-dsm"
)",
                                      "t.toml");
}

}  // namespace

TEST_CASE("plan: node spec: what the file says reaches the node, what it leaves open stays open") {
  v1::TlsMaterial tls;
  tls.set_ca_certificate("ca");
  const v1::NodeSpec spec = make_spec(two_nodes(), 1, "id", tls);
  CHECK(spec.cluster_id() == "id");
  CHECK(spec.cluster_name() == "t");
  CHECK(spec.node_id() == 1);
  CHECK(spec.node_name() == "b");
  CHECK(spec.listen() == "10.0.0.2:7711");
  CHECK(spec.memory_bytes() == uint64_t{768} << 20);
  CHECK(spec.vcpus() == 3);
  CHECK(spec.cache_bytes() == uint64_t{64} << 20);
  CHECK(spec.timeouts().node_loss_ms() == 1500);
  CHECK(spec.timeouts().connect_ms() == 15000);
  CHECK(spec.switches().hold_us() == 150);
  CHECK(spec.switches().has_batching());
  CHECK_FALSE(spec.switches().has_migratory());
  CHECK(spec.tls().ca_certificate() == "ca");
  CHECK_FALSE(make_spec(two_nodes(), 1, "id", {}).has_tls());
}

TEST_CASE("plan: plan: nodes are reached under their address and the port they really have") {
  const v1::Plan plan =
      make_plan(two_nodes(), "id", {"0.0.0.0:4321", "10.0.0.2:7711"}, {"k", "/x/vmlinux", {"i", "j"}});
  REQUIRE(plan.nodes_size() == 2);
  CHECK(plan.nodes(0).address() == "hosta:4321");
  CHECK(plan.nodes(1).address() == "10.0.0.2:7711");
  CHECK(plan.nodes(1).vcpus() == 3);
  CHECK(plan.kernel_sha256() == "k");
  CHECK(plan.initrd_sha256_size() == 2);
  REQUIRE(plan.vmm_arguments_size() == 1);
  CHECK(plan.vmm_arguments(0) == "--kernel-name=/x/vmlinux");
  CHECK(plan.command_line() == "console=hvc0 quiet");
  CHECK_THROWS_AS(make_plan(two_nodes(), "id", {"nonsense", "10.0.0.2:7711"}, {}), HostError);
}

TEST_CASE("plan: launch command: prefix, processors, program, subcommand") {
  const config::ClusterConfig config = two_nodes();
  CHECK(launch_command(config.nodes[0], "/bin/pando-dsm", "serve") ==
        std::vector<std::string>{"taskset", "-c", "0,1,3", "/bin/pando-dsm", "serve"});
  CHECK(launch_command(config.nodes[1], "/bin/pando-dsm", "serve") ==
        std::vector<std::string>{"ssh", "u@b", "/opt/pando-dsm", "serve"});
}
