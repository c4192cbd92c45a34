// SPDX-License-Identifier: Apache-2.0
// One page on N nodes: the state that the model checker searches.  The cores are the real ones
// (dsm/core); this file adds what surrounds them: streams, mappings and page content.
//
// Content is abstract: a copy is Current, Stale, Zero (current, because nobody has written yet) or
// a Hole.  A store makes every other copy stale, so "a read sees the last write" means "no readable
// copy is stale": exact for any number of values.  Node 0 is the home.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/model/core_steps.h"

namespace pando::dsm::model {

enum class Copy : uint8_t { Hole, Zero, Current, Stale };

struct Packet {
  Message message;
  Copy content = Copy::Hole;
};

// First in, first out.  Deeper than the protocol can fill with kNodesModel nodes; overflow is an
// error of the model.
struct Channel {
  static constexpr int kDepth = 8;
  uint8_t size = 0;
  std::array<Packet, kDepth> packet;
};

inline constexpr int kNodesModel = 5;

struct Node {
  CacheEntry entry;
  CacheTransaction txn;
  Right mapped = Right::None;  // the most that any mapping of the page allows
  Copy page = Copy::Hole;      // in the guest-RAM file
  Copy kept = Copy::Hole;      // in the eviction buffer
};

struct Options {
  int nodes = 2;
  CoreConfig core;            // switches; self and nodes are set for each node
  bool evict = false;         // nodes give pages back at any time
  bool hold = false;          // hold windows end at any time (else at once)
  bool hints = false;         // the home's hint is arbitrary (else Unknown)
  bool shared_start = false;  // a page of the kernel image instead of RAM
};

// Which messages were met in which cache state, to see that the search is not vacuous.
struct Coverage {
  std::array<std::array<uint64_t, kMessageTypes>, kCacheStates> met{};
};

// One atomic step of the whole system.
struct Transition {
  enum class Type : uint8_t { Read, Write, Store, Evict, Hold, HoldExpired, Deliver };
  Type type{};
  uint8_t node = 0;     // who acts; Deliver: the receiver
  uint8_t from = 0;     // Deliver
  Stream stream{};      // Deliver
  uint8_t choices = 0;  // answers to the executor's free choices, one bit each
};

class World {
 public:
  World(const Options& options, const CoreSteps& core);

  // Everything that can happen now, free choices apart.
  void enabled(std::vector<Transition>& out) const;

  enum class Effect : uint8_t { Changed, Nothing };
  // Carries out `t`.  A broken rule is in error() afterwards.
  Effect apply(const Transition& t);
  const Coverage& coverage() const { return coverage_; }
  int choices_used() const { return choices_used_; }  // by the last apply()

  // Single writer or many readers, fresh copies, no leftover.  Sets error().
  void check();
  const std::string& error() const { return error_; }

  // Canonical bytes: nodes other than the home in the order that gives the smallest, request ids
  // and versions renamed in order of appearance (the core compares them for equality alone).
  void encode(std::string& out);
  void decode(const std::string& bytes);

  std::string describe(const Transition& t) const;  // before apply(t)
  std::string summary() const;

 private:
  template <class Archive>
  void fields(Archive& archive);

  Channel& stream(int from, int to, Stream s);
  const Channel& stream(int from, int to, Stream s) const;
  CoreConfig config(int node) const;
  bool choose();
  void fail(const std::string& what);
  void step_cache(int node, const CacheEvent& event, Copy incoming, Effect& effect);
  void run_actions(int node, const ActionList& actions, Copy incoming, const Message& handled);
  void run(int node, const Action& action, Copy incoming, const Message& handled);
  void send(int node, const Action& action);
  void store(int node);
  bool quiet() const;

  const Options& options_;
  const CoreSteps& core_;
  int n_;
  std::array<Node, kNodesModel> nodes_;
  DirectoryEntry entry_;
  HomeTransaction txn_;
  std::array<Channel, kNodesModel * kNodesModel * 2> streams_;  // [from][to][stream]
  uint8_t choices_ = 0;
  int choices_used_ = 0;
  bool hold_started_ = false;
  bool sent_clean_ = false;  // by the step under way
  Coverage coverage_;
  std::string error_;
  std::string attempt_;  // reused by encode()
};

}  // namespace pando::dsm::model
