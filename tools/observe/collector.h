// SPDX-License-Identifier: Apache-2.0
// Asks all agents of a cluster what they have seen, and puts it together to a recording (proto/observe.proto).
// One thread.  A node that does not answer is in the recording with its error; the others are not held up by it for
// longer than one time limit.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "proto/observe.pb.h"
#include "proto/state.pb.h"
#include "tools/cluster/control_client.h"

namespace pando::observe {

enum class Since { Now, OldestKept };
enum class Events { No, Yes };  // also messages, interrupts, shoot-downs: switches the agents' event rings on

class Collector {
 public:
  // `records_max`: fault records and events kept per node and recording; later ones are counted as lost.
  Collector(const v1::ClusterState& state, Events events, size_t records_max);
  ~Collector();

  // The next interval begins now, or with the oldest fault that the agents still know of.
  void begin(Since since = Since::Now);
  // Fetches what has come together; the rings of the agents hold 8192 faults and 65536 events.
  void drain();
  // The interval ends now.  `begin()` may follow.
  v1::Recording finish();

 private:
  struct Node {
    std::unique_ptr<cluster::ControlClient> client;
    v1::RecordedNode recorded;
    uint64_t next_fault = 0, next_event = 0;
  };
  template <class Ask>
  void ask_each(Ask ask);
  void drain(Node& node);
  void estimate_clocks();
  void read_code();
  std::string peek(uint64_t address, size_t bytes);

  const v1::ClusterState state_;
  const Events events_;
  const size_t records_max_;
  std::vector<Node> nodes_;
  std::vector<v1::RecordedCode> code_;                       // of this interval
  std::set<std::pair<uint64_t, uint64_t>> code_known_;  // mm, rip
  int64_t begun_ns_ = 0, begun_unix_ns_ = 0;
};

}  // namespace pando::observe
