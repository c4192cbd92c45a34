// SPDX-License-Identifier: Apache-2.0
// A recording in numbers: what each node did in the interval, and how long the legs of a fault took.  Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "proto/observe.pb.h"

namespace pando::observe {

struct NodeSummary {
  uint32_t id = 0;
  std::string name, error;  // error: nothing else is known
  double guest_cpus = 0, agent_cpus = 0;  // CPUs kept busy: VMM with stubs, agent
  double faults_per_s = 0;                // pages this node had to fetch
  double served_per_s = 0;                // pages it sent to others
  double bytes_in_per_s = 0, bytes_out_per_s = 0;
  uint64_t wait_p50_ns = 0, wait_p99_ns = 0;  // of its faults; 0 = there were none
  uint64_t faults_lost = 0, events_lost = 0;
};
std::vector<NodeSummary> summarize(const v1::Recording& recording);

// What one node received from another one in the interval.
struct Traffic {
  uint32_t from = 0, to = 0;
  uint64_t bytes = 0, pages = 0, page_messages = 0, fabric = 0;
};
std::vector<Traffic> traffic_of(const v1::Recording& recording);

// Histogram of a leg over the interval, all nodes together: largest value of a bucket -> count.
std::map<uint64_t, uint64_t> leg_histogram(const v1::Recording& recording, const std::string& leg);
// Value below which the share (0 .. 1) of a histogram lies; 0 when it is empty.
uint64_t quantile(const std::map<uint64_t, uint64_t>& histogram, double share);

// Counter of a node over the interval; 0 when there is none of that name.
uint64_t counted(const v1::RecordedNode& node, const std::string& counter);

}  // namespace pando::observe
