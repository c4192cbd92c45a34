// SPDX-License-Identifier: Apache-2.0
// The three ways to walk over the state of a World: collect the names in use, write canonical
// bytes, read them back. World::fields() is written once for all three.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <string>

#include "dsm/core/types.h"

namespace pando::dsm::model {

inline constexpr int kNamesMax = 32;  // request ids and versions in use are below this

// order[i] = the node at canonical place i; place[n] = its inverse.
struct Permutation {
  std::array<uint8_t, 16> order;
  std::array<uint8_t, 16> place;
};

struct NamesInUse {
  uint32_t versions = 0;
  std::array<uint32_t, 16> requests{};  // by node
};

class Collector {
 public:
  explicit Collector(NamesInUse& names) : names_(names) {}
  uint8_t at(int i) const { return static_cast<uint8_t>(i); }
  void byte(uint8_t&) {}
  void node(uint8_t&) {}
  void set(NodeSet&) {}
  void version(Version& v) { names_.versions |= 1u << v.value(); }
  void request(uint8_t node, RequestId& r) { names_.requests[node] |= 1u << r.value(); }

 private:
  NamesInUse& names_;
};

class Writer {
 public:
  Writer(std::string& out, const Permutation& permutation, const NamesInUse& names)
      : out_(out), permutation_(permutation), names_(names) {}
  uint8_t at(int i) const { return permutation_.order[i]; }
  void byte(uint8_t& b) { out_.push_back(static_cast<char>(b)); }
  // A node, or any value above 15 for "none".
  void node(uint8_t& n) { out_.push_back(static_cast<char>(n > 15 ? n : permutation_.place[n])); }
  void set(NodeSet& s) {
    NodeSet placed;
    s.each([&](NodeId n) { placed.add(NodeId(permutation_.place[n.value()])); });
    out_.push_back(static_cast<char>(placed.bits()));
  }
  void version(Version& v) { name(names_.versions, v.value()); }
  void request(uint8_t node, RequestId& r) { name(names_.requests[node], r.value()); }

 private:
  // Rank among the names in use; 0 stays 0.
  void name(uint32_t used, uint32_t value) {
    const uint32_t below = (used & ~1u) & ((1u << value) - 1);
    out_.push_back(value == 0 ? char{0} : static_cast<char>(1 + std::popcount(below)));
  }
  std::string& out_;
  const Permutation& permutation_;
  const NamesInUse& names_;
};

class Reader {
 public:
  explicit Reader(const std::string& in) : in_(in) {}
  uint8_t at(int i) const { return static_cast<uint8_t>(i); }
  void byte(uint8_t& b) { b = static_cast<uint8_t>(in_[next_++]); }
  void node(uint8_t& n) { byte(n); }
  void set(NodeSet& s) { s = NodeSet(get()); }
  void version(Version& v) { v = Version(get()); }
  void request(uint8_t, RequestId& r) { r = RequestId(get()); }

 private:
  uint8_t get() { return static_cast<uint8_t>(in_[next_++]); }
  const std::string& in_;
  size_t next_ = 0;
};

}  // namespace pando::dsm::model
