// SPDX-License-Identifier: Apache-2.0
#include "tests/model/search.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <unordered_map>

namespace pando::dsm::model {
namespace {

// 128 bits of hash stand for a state: with 10^8 states a collision has a chance below 10^-22.
struct Fingerprint {
  uint64_t low;
  uint64_t high;
  bool operator==(const Fingerprint&) const = default;
};
struct FingerprintHash {
  size_t operator()(const Fingerprint& f) const { return f.low; }
};

uint64_t mix(uint64_t h, uint64_t word, uint64_t multiplier) {
  h = (h ^ word) * multiplier;
  return h ^ (h >> 29);
}

Fingerprint fingerprint_of(const std::string& bytes) {
  Fingerprint f{bytes.size() + 0x9e3779b97f4a7c15, bytes.size() ^ 0xd1b54a32d192ed03};
  for (size_t i = 0; i < bytes.size(); i += 8) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + i, std::min<size_t>(8, bytes.size() - i));
    f.low = mix(f.low, word, 0xff51afd7ed558ccd);
    f.high = mix(f.high, word, 0xc4ceb9fe1a85ec53);
  }
  f.low = mix(f.low, f.high >> 32, 0x9fb21c651e98df25);
  f.high = mix(f.high, f.low >> 32, 0xd6e8feb86659fd93);
  return f;
}

struct Visited {
  uint32_t parent;
  Transition how;
};

class Search {
 public:
  Search(const Options& options, const CoreSteps& core, size_t states_max)
      : options_(options), core_(core), states_max_(states_max), world_(options, core) {}

  SearchResult run() {
    world_.encode(bytes_);
    remember(0, Transition{});
    while (!frontier_.empty() && result_.verdict == SearchResult::Verdict::Holds) expand();
    result_.states = visited_.size();
    result_.coverage = world_.coverage();
    if (result_.verdict == SearchResult::Verdict::Holds && !terminates())
      violated("deliveries alone can go round in circles", 0, nullptr);
    return std::move(result_);
  }

 private:
  uint32_t remember(uint32_t parent, const Transition& how) {
    const auto [it, is_new] =
        numbers_.try_emplace(fingerprint_of(bytes_), static_cast<uint32_t>(visited_.size()));
    if (is_new) {
      visited_.push_back({parent, how});
      frontier_.push_back(bytes_);
      if (visited_.size() > states_max_) result_.verdict = SearchResult::Verdict::LimitReached;
    }
    return it->second;
  }

  void expand() {
    const std::string state = std::move(frontier_.front());
    frontier_.pop_front();
    const uint32_t number = next_++;
    world_.decode(state);
    std::vector<Transition> enabled;
    world_.enabled(enabled);
    for (Transition t : enabled) {
      int choices = 0;
      for (int answer = 0; answer < 1 << choices || answer == 0; ++answer) {
        t.choices = static_cast<uint8_t>(answer);
        world_.decode(state);
        const World::Effect effect = world_.apply(t);
        choices = std::max(choices, world_.choices_used());
        if (effect == World::Effect::Nothing && world_.error().empty()) continue;
        world_.check();
        if (!world_.error().empty()) return violated(world_.error(), number, &t);
        world_.encode(bytes_);
        const uint32_t to = remember(number, t);
        ++result_.transitions;
        const bool progress =
            t.type == Transition::Type::Deliver || t.type == Transition::Type::HoldExpired;
        if (progress) edges_.push_back({number, to});
      }
    }
  }

  // Takes away states without incoming progress edges, again and again: what is left lies behind a
  // circle.
  bool terminates() const {
    std::vector<uint32_t> incoming(visited_.size()), first(visited_.size() + 1);
    for (const Edge& e : edges_) {
      ++incoming[e.to];
      ++first[e.from + 1];
    }
    for (size_t i = 0; i < visited_.size(); ++i) first[i + 1] += first[i];
    std::vector<uint32_t> target(edges_.size()), fill(first.begin(), first.end() - 1);
    for (const Edge& e : edges_) target[fill[e.from]++] = e.to;
    std::vector<uint32_t> work;
    for (uint32_t i = 0; i < visited_.size(); ++i) {
      if (incoming[i] == 0) work.push_back(i);
    }
    size_t removed = 0;
    while (!work.empty()) {
      const uint32_t i = work.back();
      work.pop_back();
      ++removed;
      for (uint32_t e = first[i]; e < first[i + 1]; ++e) {
        if (--incoming[target[e]] == 0) work.push_back(target[e]);
      }
    }
    return removed == visited_.size();
  }

  void violated(const std::string& what, uint32_t at, const Transition* last) {
    result_.verdict = SearchResult::Verdict::Violated;
    result_.violation = what;
    std::vector<Transition> path;
    if (last != nullptr) path.push_back(*last);
    for (uint32_t i = at; i != 0; i = visited_[i].parent) path.push_back(visited_[i].how);
    std::reverse(path.begin(), path.end());
    World world(options_, core_);
    std::string bytes;
    for (const Transition& t : path) {
      std::string line = world.describe(t);
      world.apply(t);
      result_.trace.push_back(line + "   -> " + world.summary());
      world.encode(bytes);
      world.decode(bytes);
    }
  }

  struct Edge {
    uint32_t from;
    uint32_t to;
  };

  const Options& options_;
  const CoreSteps& core_;
  const size_t states_max_;
  World world_;
  std::string bytes_;
  std::unordered_map<Fingerprint, uint32_t, FingerprintHash> numbers_;
  std::vector<Visited> visited_;
  std::deque<std::string> frontier_;
  std::vector<Edge> edges_;  // deliveries and hold ends
  uint32_t next_ = 0;
  SearchResult result_;
};

}  // namespace

SearchResult search(const Options& options, const CoreSteps& core, size_t states_max) {
  return Search(options, core, states_max).run();
}

}  // namespace pando::dsm::model
