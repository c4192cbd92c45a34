// SPDX-License-Identifier: Apache-2.0
#include "dsm/agent/node_config.h"

#include <functional>

#include "base/error.h"
#include "tests/catch.h"

using namespace pando;
using namespace pando::dsm;

namespace {

v1::NodeSpec good_spec() {
  v1::NodeSpec s;
  s.set_cluster_id("c");
  s.set_node_id(1);
  s.set_listen("127.0.0.1:0");
  s.set_memory_bytes(1 << 20);
  s.set_vcpus(2);
  return s;
}

v1::Plan good_plan() {
  v1::Plan p;
  p.set_cluster_id("c");
  for (uint32_t n = 0; n < 2; ++n) {
    v1::PlanNode* node = p.add_nodes();
    node->set_id(n);
    node->set_name("n" + std::to_string(n));
    node->set_address("127.0.0.1:1");
    node->set_memory_bytes(1 << 20);
    node->set_vcpus(2);
  }
  return p;
}

}  // namespace

TEST_CASE("node config: a minimal specification: defaults are filled in") {
  const NodeConfig c = check_spec(good_spec());
  CHECK(c.node_name == "node1");
  CHECK(c.timeouts.node_loss.count() == 3000);
  CHECK(c.switches.fault_around_pages == 16);
  CHECK(c.vmm_program.ends_with("/pando-vmm"));
}

TEST_CASE("node config: a field that cannot be: UserError") {
  const auto spoil = GENERATE(as<std::function<void(v1::NodeSpec&)>>{}, [](v1::NodeSpec& s) { s.clear_cluster_id(); },
                              [](v1::NodeSpec& s) { s.set_node_id(16); }, [](v1::NodeSpec& s) { s.clear_listen(); },
                              [](v1::NodeSpec& s) { s.set_memory_bytes(5000); },
                              [](v1::NodeSpec& s) { s.set_listen("10.0.0.1:0"); },
                              [](v1::NodeSpec& s) { s.set_cache_bytes(4096); },
                              [](v1::NodeSpec& s) { s.set_metrics_listen("0.0.0.0:9"); },
                              [](v1::NodeSpec& s) { s.mutable_timeouts()->set_node_loss_ms(10); },
                              [](v1::NodeSpec& s) { s.mutable_switches()->set_fault_around_pages(3); });
  v1::NodeSpec s = good_spec();
  spoil(s);
  CHECK_THROWS_AS(check_spec(s), UserError);
}

TEST_CASE("plan: two nodes: ranges are adjacent, vCPUs and distances are spread out") {
  const ClusterPlan p = check_plan(good_plan(), check_spec(good_spec()));
  CHECK(p.nodes[1].range.start == 1 << 20);
  CHECK(p.vcpu_node == std::vector<uint8_t>{0, 0, 1, 1});
  CHECK(p.distances == std::vector<uint8_t>{10, 100, 100, 10});
  CHECK(p.ram_bytes() == 2 << 20);
}

TEST_CASE("plan: something that cannot be: UserError") {
  const auto spoil = GENERATE(as<std::function<void(v1::Plan&)>>{}, [](v1::Plan& p) { p.set_cluster_id("other"); },
                              [](v1::Plan& p) { p.clear_nodes(); }, [](v1::Plan& p) { p.mutable_nodes(1)->set_id(0); },
                              [](v1::Plan& p) { p.mutable_nodes(1)->set_memory_bytes(4097); },
                              [](v1::Plan& p) { p.mutable_nodes(1)->set_vcpus(1); },
                              [](v1::Plan& p) { p.mutable_nodes(0)->set_vcpus(1000); }, [](v1::Plan& p) { p.add_distances(10); },
                              [](v1::Plan& p) { p.set_kernel_sha256("xyz"); }, [](v1::Plan& p) { p.set_console_node(2); });
  v1::Plan p = good_plan();
  spoil(p);
  CHECK_THROWS_AS(check_plan(p, check_spec(good_spec())), UserError);
}

TEST_CASE("plan: the digest: equal for equal plans, different otherwise") {
  const NodeConfig c = check_spec(good_spec());
  v1::Plan other = good_plan();
  other.set_command_line("quiet");
  CHECK(check_plan(good_plan(), c).digest == check_plan(good_plan(), c).digest);
  CHECK(check_plan(good_plan(), c).digest != check_plan(other, c).digest);
}
