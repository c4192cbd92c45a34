// SPDX-License-Identifier: Apache-2.0
// coherence-model: searches every interleaving of the coherence core on one page.
//
//   coherence-model --nodes 3 --features evict,hold,exclusive,migratory,readers,close,hints
//   coherence-model --nodes 2 --features evict --mutant loses-put      (exit 0 if the search
//   catches it)
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "tests/model/search.h"

namespace pando::dsm::model {
namespace {

struct Arguments {
  Options options;
  std::string mutant;
  std::string features = "evict,hold,exclusive,migratory,readers,close,hints";
  size_t states_max = 50'000'000;
  bool list = false;
  bool coverage = false;
};

[[noreturn]] void usage(const std::string& what) {
  std::fprintf(stderr,
               "coherence-model: %s\n"
               "usage: coherence-model [--nodes 2..5] [--features LIST] [--mutant NAME] "
               "[--states-max N] [--coverage]\n"
               "       coherence-model --list-mutants\n"
               "features: evict hold exclusive migratory readers close hints image\n",
               what.c_str());
  std::exit(2);
}

void set_features(Options& o, std::string_view list) {
  o.core.exclusive_grants = o.core.migratory = o.core.serve_readers_together =
      o.core.close_at_home = false;
  while (!list.empty()) {
    const size_t comma = list.find(',');
    const std::string_view name = list.substr(0, comma);
    list = comma == std::string_view::npos ? "" : list.substr(comma + 1);
    if (name == "evict")
      o.evict = true;
    else if (name == "hold")
      o.hold = true;
    else if (name == "exclusive")
      o.core.exclusive_grants = true;
    else if (name == "migratory")
      o.core.migratory = true;
    else if (name == "readers")
      o.core.serve_readers_together = true;
    else if (name == "close")
      o.core.close_at_home = true;
    else if (name == "hints")
      o.hints = true;
    else if (name == "image")
      o.shared_start = true;
    else if (name != "base")
      usage("no feature '" + std::string(name) + "'");
  }
}

Arguments parse(int argc, char** argv) {
  Arguments a;
  for (int i = 1; i < argc; ++i) {
    const std::string_view flag = argv[i];
    if (flag == "--list-mutants" || flag == "--coverage") {
      (flag == "--coverage" ? a.coverage : a.list) = true;
      continue;
    }
    if (i + 1 == argc) usage("no value for " + std::string(flag));
    const char* value = argv[++i];
    if (flag == "--nodes")
      a.options.nodes = std::atoi(value);
    else if (flag == "--features")
      a.features = value;
    else if (flag == "--mutant")
      a.mutant = value;
    else if (flag == "--states-max")
      a.states_max = std::strtoull(value, nullptr, 10);
    else
      usage("no option " + std::string(flag));
  }
  if (a.options.nodes < 2 || a.options.nodes > kNodesModel) usage("nodes must be 2 to 5");
  set_features(a.options, a.features);
  return a;
}

void print_coverage(const Coverage& c) {
  for (int state = 0; state < kCacheStates; ++state) {
    std::printf("  %-6s", name_of(static_cast<CacheState>(state)));
    for (int type = 1; type < kMessageTypes; ++type) {
      if (c.met[state][type] == 0) continue;
      std::printf(" %s=%llu", name_of(static_cast<MessageType>(type)),
                  static_cast<unsigned long long>(c.met[state][type]));
    }
    std::printf("\n");
  }
}

int run(const Arguments& a) {
  const auto core = make_core(a.mutant);
  if (core == nullptr) usage("no mutant '" + a.mutant + "'");
  const auto start = std::chrono::steady_clock::now();
  const SearchResult r = search(a.options, *core, a.states_max);
  const double s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf("nodes=%d features=%s mutant=%s states=%zu transitions=%zu seconds=%.1f\n",
              a.options.nodes, a.features.c_str(), a.mutant.empty() ? "none" : a.mutant.c_str(),
              r.states, r.transitions, s);
  if (a.coverage) print_coverage(r.coverage);
  if (r.verdict == SearchResult::Verdict::Violated) {
    std::printf("violated: %s\n", r.violation.c_str());
    for (const std::string& line : r.trace) std::printf("  %s\n", line.c_str());
  }
  if (r.verdict == SearchResult::Verdict::LimitReached)
    std::printf("limit reached: nothing is proven\n");
  if (!a.mutant.empty()) return r.verdict == SearchResult::Verdict::Violated ? 0 : 1;
  if (r.verdict == SearchResult::Verdict::Holds) std::printf("every rule holds in every state\n");
  return r.verdict == SearchResult::Verdict::Holds ? 0 : 1;
}

}  // namespace
}  // namespace pando::dsm::model

int main(int argc, char** argv) {
  const auto arguments = pando::dsm::model::parse(argc, argv);
  if (!arguments.list) return pando::dsm::model::run(arguments);
  for (const auto& m : pando::dsm::all_mutants())
    std::printf("%-28.*s %.*s\n", static_cast<int>(m.name.size()), m.name.data(),
                static_cast<int>(m.breaks.size()), m.breaks.data());
  return 0;
}
