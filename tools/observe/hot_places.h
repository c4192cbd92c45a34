// SPDX-License-Identifier: Apache-2.0
// Which places of the guest's memory the nodes fight over: the fault records of a recording, gathered by page, and runs
// of pages that one node alone uses gathered to one place.  Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "proto/observe.pb.h"

namespace pando::observe {

struct NodeCounts {
  uint64_t faults = 0, writes = 0, wait_ns = 0;
};

// Eight bytes of a page, by who touched them.
struct Word {
  uint64_t address = 0;  // as it was touched: by user code if any did
  bool user = false;     // a user address
  std::map<uint32_t, NodeCounts> nodes;
  uint64_t faults = 0;
  uint64_t lock_faults = 0;  // by instructions that take or give a lock
};

struct Code {
  uint64_t rip = 0;
  uint64_t mm = 0;  // user code; 0 = kernel
  bool operator<(const Code& other) const { return rip != other.rip ? rip < other.rip : mm < other.mm; }
};

struct Place {
  uint64_t first_page = 0, last_page = 0;  // guest-physical; the pages between need not all have faulted
  uint64_t pages = 0;                      // that have
  uint32_t home = 0;                       // node
  uint64_t mm = 0;                         // user memory: whose; 0 = only the kernel touched it
  uint64_t first_address = 0, last_address = 0;  // as touched, lowest and highest
  uint64_t faults = 0, writes = 0, wait_ns = 0, lock_faults = 0;
  std::map<uint32_t, NodeCounts> nodes;
  std::map<Code, uint64_t> code;  // faults by instruction
  std::vector<Word> words;        // of places of one page; most faults first
  bool contended() const { return nodes.size() > 1; }
};

struct PlaceOptions {
  // True for an instruction that belongs to a lock.  Absent: none does.
  std::function<bool(const Code&)> is_lock;
  uint64_t gap_pages_max = 16;  // a run may skip so many pages that were fetched ahead
};

// Most expensive first: by the time that was spent waiting for it.
std::vector<Place> find_hot_places(const v1::Recording& recording, const PlaceOptions& options);

// Node that a page is homed on, by the status of the nodes; the first node when none says so.
uint32_t home_of(const v1::Recording& recording, uint64_t page);

// Seconds that the recording spans.
double seconds_of(const v1::Recording& recording);

}  // namespace pando::observe
