// SPDX-License-Identifier: Apache-2.0
#include "tools/observe/advice.h"

#include <algorithm>
#include <compare>
#include <map>
#include <optional>
#include <set>

namespace pando::observe {

namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (size_t i = 0; i < words.size(); ++i)
    out += (i == 0 ? "" : i + 1 == words.size() ? " and " : ", ") + words[i];
  return out;
}

class Judge {
 public:
  Judge(const Naming& naming, const AdviceLimits& limits) : naming_(naming), limits_(limits) {}

  // A place that several nodes use; the order of the rules is that of certainty.
  std::optional<Advice> contended(const Place& place) const {
    if (!place.contended() || place.faults < limits_.faults_min || !is_named(place)) return std::nullopt;
    if (auto lock = contended_lock(place)) return lock;
    if (auto sharing = false_sharing(place)) return sharing;
    return shared_word(place);
  }

  // A range of a process that lies on another node than the only one that uses it.
  bool is_misplaced(const Place& place) const {
    return !place.contended() && place.mm != 0 && place.nodes.begin()->first != place.home &&
           place.pages >= limits_.wrong_node_pages_min && is_named(place);
  }
  // Misplaced ranges of one process, one home and one user: one advice, however many they are.
  Advice wrong_node(const std::vector<Place>& places, const std::vector<size_t>& ranges) const {
    Advice advice{AdviceKind::WrongNode, ranges.front(), {}, "", 0};
    for (const size_t i : ranges) {
      advice.wait_ns += places[i].wait_ns;
      advice.names.push_back(naming_.of_place(places[i]));
    }
    const Place& first = places[ranges.front()];
    std::vector<std::string> said(advice.names.begin(), advice.names.begin() + std::min(ranges.size(), kRangesSaid));
    if (ranges.size() > kRangesSaid) said.push_back(std::to_string(ranges.size() - kRangesSaid) + " more");
    advice.sentence = "first touch on the wrong node: " + joined(said) + (ranges.size() == 1 ? " is" : " are") + " homed on " +
                      naming_.of_node(first.home) + ", only " + naming_.of_node(first.nodes.begin()->first) + " uses " +
                      (ranges.size() == 1 ? "it; let a thread there touch it" : "them; let a thread there touch them") +
                      " first (or numactl --membind)";
    return advice;
  }

 private:
  static constexpr size_t kRangesSaid = 3;

  // Nobody can move what lies in the kernel's heap.
  bool is_named(const Place& place) const {
    return naming_.is_named(place.words.empty() ? place.first_address : place.words.front().address, place.mm);
  }
  // Nodes that account for a real share of the faults.
  std::vector<uint32_t> fighters(const std::map<uint32_t, NodeCounts>& nodes, uint64_t faults) const {
    std::vector<uint32_t> out;
    for (const auto& [node, counts] : nodes)
      if (static_cast<double>(counts.faults) >= limits_.share_min * static_cast<double>(faults)) out.push_back(node);
    return out;
  }
  std::string names_of(const std::vector<uint32_t>& nodes) const {
    std::vector<std::string> names;
    for (const uint32_t node : nodes) names.push_back(naming_.of_node(node));
    return joined(names);
  }
  std::string name_of(const Place& place, const Word& word) const {
    return naming_.of_address(word.address, word.user ? place.mm : 0);
  }

  std::optional<Advice> contended_lock(const Place& place) const {
    for (const Word& word : place.words) {
      const auto nodes = fighters(word.nodes, word.faults);
      const bool locks =
          word.lock_faults > 0 &&
          static_cast<double>(word.lock_faults) >= limits_.lock_share_min * static_cast<double>(word.faults);
      const bool matters = static_cast<double>(word.faults) >= limits_.share_min * static_cast<double>(place.faults);
      if (!locks || !matters || nodes.size() < 2 || word.faults < limits_.faults_min) continue;
      const std::string name = name_of(place, word);
      return Advice{AdviceKind::ContendedLock, 0, {name},
                    "contended lock " + name + ": nodes " + names_of(nodes) +
                        " take it in turns; give each node a lock of its own, or keep its users on one node",
                    place.wait_ns};
    }
    return std::nullopt;
  }

  // The word that a node touches most on the page.
  static const Word* favourite(const Place& place, uint32_t node) {
    const Word* best = nullptr;
    uint64_t most = 0;
    for (const Word& word : place.words) {
      const auto it = word.nodes.find(node);
      if (it == word.nodes.end() || it->second.faults <= most) continue;
      most = it->second.faults;
      best = &word;
    }
    return best;
  }
  static bool is_shared(const Word& word, double share_min) {
    uint64_t most = 0;
    for (const auto& [node, counts] : word.nodes) most = std::max(most, counts.faults);
    return static_cast<double>(word.faults - most) >= share_min * static_cast<double>(word.faults);
  }

  std::optional<Advice> false_sharing(const Place& place) const {
    const auto nodes = fighters(place.nodes, place.faults);
    if (nodes.size() < 2 || place.writes == 0) return std::nullopt;
    // Words that more than one node uses are not false sharing; they may take a small part of the faults.
    uint64_t shared = 0;
    for (const Word& word : place.words)
      if (is_shared(word, limits_.share_min)) shared += word.faults;
    if (static_cast<double>(shared) > 0.25 * static_cast<double>(place.faults)) return std::nullopt;
    std::set<const Word*> words;
    std::vector<std::string> names;
    for (const uint32_t node : nodes) {
      const Word* word = favourite(place, node);
      if (!word || !words.insert(word).second) return std::nullopt;
      names.push_back(name_of(place, *word));
    }
    return Advice{AdviceKind::FalseSharing, 0, names,
                  "false sharing of " + joined(names) + ": nodes " + names_of(nodes) +
                      " use different words of one page; put them on pages of their own (align to 4096)",
                  place.wait_ns};
  }

  std::optional<Advice> shared_word(const Place& place) const {
    for (const Word& word : place.words) {
      const auto nodes = fighters(word.nodes, word.faults);
      uint64_t writes = 0;
      for (const auto& [node, counts] : word.nodes) writes += counts.writes;
      if (nodes.size() < 2 || writes == 0 || word.faults < limits_.faults_min) continue;
      const std::string name = name_of(place, word);
      return Advice{AdviceKind::SharedWord, 0, {name},
                    name + " is written and used by nodes " + names_of(nodes) +
                        "; count per node and add up when it is read, or keep its users on one node",
                    place.wait_ns};
    }
    return std::nullopt;
  }

  const Naming& naming_;
  const AdviceLimits limits_;
};

}  // namespace

const char* name_of(AdviceKind kind) {
  switch (kind) {
    case AdviceKind::ContendedLock: return "contended-lock";
    case AdviceKind::FalseSharing: return "false-sharing";
    case AdviceKind::SharedWord: return "shared-word";
    case AdviceKind::WrongNode: return "wrong-node";
  }
  return "?";
}

std::vector<Advice> advise(const std::vector<Place>& places, const Naming& naming, const AdviceLimits& limits) {
  const Judge judge(naming, limits);
  std::vector<Advice> all;
  struct Misplaced {
    uint64_t mm;
    uint32_t home, user;
    auto operator<=>(const Misplaced&) const = default;
  };
  std::map<Misplaced, std::vector<size_t>> misplaced;
  for (size_t i = 0; i < places.size(); ++i) {
    if (judge.is_misplaced(places[i])) {
      misplaced[{places[i].mm, places[i].home, places[i].nodes.begin()->first}].push_back(i);
    } else if (auto advice = judge.contended(places[i])) {
      advice->place = i;
      all.push_back(std::move(*advice));
    }
  }
  for (const auto& [what, ranges] : misplaced) all.push_back(judge.wrong_node(places, ranges));
  std::ranges::stable_sort(all, std::ranges::greater{}, &Advice::wait_ns);
  return all;
}

}  // namespace pando::observe
