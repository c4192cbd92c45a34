// SPDX-License-Identifier: Apache-2.0
// coherence-sim: many short runs of real coherence cores, each drawn from one seed.
//
//   coherence-sim --schedules 100000            CI
//   coherence-sim --seed 0x1234 --trace         the run that failed, step by step
//   coherence-sim --schedules 5000 --mutant loses-put    (exit 0 if the oracle catches it)
//   coherence-sim --bench hold                  hold windows compared
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "tests/sim/bench.h"
#include "tests/sim/cluster.h"

namespace pando::dsm::sim {
namespace {

struct Arguments {
  uint64_t first_seed = 1;
  int64_t schedules = 1000;
  bool one = false;
  bool trace = false;
  std::string mutant;
  std::string bench;
};

[[noreturn]] void usage(const std::string& what) {
  std::fprintf(stderr,
               "coherence-sim: %s\n"
               "usage: coherence-sim [--schedules N] [--first-seed S] [--mutant NAME]\n"
               "       coherence-sim --seed S [--trace] [--mutant NAME]\n"
               "       coherence-sim --bench hold\n",
               what.c_str());
  std::exit(2);
}

Arguments parse(int argc, char** argv) {
  Arguments a;
  for (int i = 1; i < argc; ++i) {
    const std::string_view flag = argv[i];
    if (flag == "--trace") {
      a.trace = true;
      continue;
    }
    if (i + 1 == argc) usage("no value for " + std::string(flag));
    const char* value = argv[++i];
    if (flag == "--seed") {
      a.first_seed = std::strtoull(value, nullptr, 0);
      a.one = true;
      a.schedules = 1;
    } else if (flag == "--first-seed") {
      a.first_seed = std::strtoull(value, nullptr, 0);
    } else if (flag == "--schedules") {
      a.schedules = std::strtoll(value, nullptr, 0);
    } else if (flag == "--mutant") {
      a.mutant = value;
    } else if (flag == "--bench") {
      a.bench = value;
    } else {
      usage("no option " + std::string(flag));
    }
  }
  return a;
}

void add(Statistics& sum, const Statistics& s) {
  sum.steps += s.steps;
  sum.messages += s.messages;
  sum.pages_sent += s.pages_sent;
  sum.faults += s.faults;
  sum.instructions += s.instructions;
  sum.evictions += s.evictions;
  sum.parked += s.parked;
  sum.zero_pages += s.zero_pages;
  sum.losses += s.losses;
}

void print(const Statistics& s, int64_t runs, double seconds) {
  std::printf("schedules=%" PRId64 " seconds=%.1f steps=%" PRId64 " messages=%" PRId64
              " instructions=%" PRId64 " faults=%" PRId64 " pages_sent=%" PRId64
              " zero_pages=%" PRId64 " evictions=%" PRId64 " parked=%" PRId64 " losses=%" PRId64
              "\n",
              runs, seconds, s.steps, s.messages, s.instructions, s.faults, s.pages_sent,
              s.zero_pages, s.evictions, s.parked, s.losses);
}

// A seed is worth nothing as a bug report unless it gives the same run again.
bool replays(const CoreSteps& core, uint64_t seed, const Statistics& first) {
  Cluster again(draw_scenario(seed), core, seed);
  again.run();
  if (again.statistics() == first) return true;
  std::printf("violated: seed %" PRIu64 " does not give the same run twice\n", seed);
  return false;
}

int run(const Arguments& a) {
  const auto core = make_core(a.mutant);
  if (core == nullptr) usage("no mutant '" + a.mutant + "'");
  const auto start = std::chrono::steady_clock::now();
  Statistics sum;
  int64_t done = 0;
  bool caught = false;
  for (; done < a.schedules && !caught; ++done) {
    const uint64_t seed = a.first_seed + static_cast<uint64_t>(done);
    Cluster cluster(draw_scenario(seed), *core, seed);
    cluster.set_trace(a.trace);
    if (!cluster.run()) {
      std::printf("violated: %s\nreplay: coherence-sim --seed %" PRIu64 "%s%s --trace\n",
                  cluster.error().c_str(), seed, a.mutant.empty() ? "" : " --mutant ",
                  a.mutant.c_str());
      caught = true;
    }
    if (!a.one && done % 512 == 0 && !replays(*core, seed, cluster.statistics())) caught = true;
    add(sum, cluster.statistics());
  }
  print(sum, done, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  // A run that tested nothing must not pass.
  const bool vacuous =
      !a.one && (sum.evictions == 0 || sum.parked == 0 || sum.zero_pages == 0 || sum.losses == 0);
  if (vacuous && !caught)
    std::printf("vacuous: no eviction, no parked message, no zero page or no lost node\n");
  if (!a.mutant.empty()) return caught ? 0 : 1;
  return caught || vacuous ? 1 : 0;
}

}  // namespace
}  // namespace pando::dsm::sim

int main(int argc, char** argv) {
  const auto arguments = pando::dsm::sim::parse(argc, argv);
  if (arguments.bench.empty()) return pando::dsm::sim::run(arguments);
  return pando::dsm::sim::run_bench(arguments.bench);
}
