// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/bench.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "tests/sim/cluster.h"

namespace pando::dsm::sim {
namespace {

constexpr Nanos kRun = 500'000'000;

struct Contention {
  int nodes;
  int pages;  // that each instruction writes
  Nanos delay_ns;
};

struct Holding {
  const char* name;
  Nanos window_ns;  // 0: HoldPolicy
  ShareHolds share;
};

constexpr Holding kHoldings[] = {
    {"1 us", 1'000, ShareHolds::No},     {"100 us", 100'000, ShareHolds::No},
    {"400 us", 400'000, ShareHolds::No}, {"400 us shared", 400'000, ShareHolds::Yes},
    {"policy alone", 0, ShareHolds::No}, {"policy shared", 0, ShareHolds::Yes},
};

// Node n writes pages 0 .. pages-1 in one instruction, starting with page n: opposite orders.
Statistics measure(const Contention& c, const Holding& h) {
  Scenario s;
  s.nodes = c.nodes;
  s.pages = c.nodes;
  s.delay_min_ns = c.delay_ns * 9 / 10;
  s.delay_max_ns = c.delay_ns * 11 / 10;
  s.hold_ns = h.window_ns;
  s.share_holds = h.share;
  s.steps_max = 100'000'000;
  s.time_limit_ns = 4 * kRun;
  s.core.epoch = Epoch(1);
  const CoreSteps core;
  Cluster cluster(s, core, 42);
  for (int n = 0; n < c.nodes; ++n) {
    Instruction i;
    i.operands = c.pages;
    for (int k = 0; k < c.pages; ++k) i.access[k] = {(n + k) % c.pages, 0, true};
    cluster.pin_instruction(n, 0, i, kRun);
  }
  cluster.run();  // no progress within the time limit shows as a small count
  return cluster.statistics();
}

void print_row(const Contention& c, const Holding& h) {
  const Statistics s = measure(c, h);
  const Statistics one = measure({c.nodes, 1, c.delay_ns}, {"", 0, ShareHolds::Yes});
  const auto [least, most] = std::minmax_element(s.by_node.begin(), s.by_node.begin() + c.nodes);
  std::printf(
      "%5d %5d %8lld  %-14s %12.3f %14.3f %8.2f %10.2f\n", c.nodes, c.pages,
      static_cast<long long>(c.delay_ns / 1000), h.name,
      static_cast<double>(s.instructions) / static_cast<double>(one.instructions),
      static_cast<double>(s.faults) / static_cast<double>(std::max<int64_t>(1, s.instructions)),
      *most == 0 ? 0.0 : static_cast<double>(*least) / static_cast<double>(*most),
      static_cast<double>(s.longest_ns) / static_cast<double>(c.delay_ns));
}

}  // namespace

int run_bench(const std::string& name) {
  if (name != "hold") {
    std::fprintf(stderr, "coherence-sim: no bench '%s' (there is: hold)\n", name.c_str());
    return 2;
  }
  std::printf(
      "0.5 s of virtual time; each node repeats one instruction on the same pages, orders rotated\n"
      "throughput: instructions as a ratio to the same nodes on one contested page (policy)\n"
      "fairness: slowest node / fastest node.  longest: an instruction, in network delays\n"
      "nodes pages delay_us  hold             throughput   faults/instr fairness    longest\n");
  for (Nanos delay : {10'000, 50'000, 500'000}) {
    for (const auto& [nodes, pages] : {std::pair{2, 1}, {2, 2}, {3, 2}, {3, 3}}) {
      for (const Holding& h : kHoldings) print_row({nodes, pages, delay}, h);
    }
  }
  return 0;
}

}  // namespace pando::dsm::sim
