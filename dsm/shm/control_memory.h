// SPDX-License-Identifier: Apache-2.0
// The control memfd, mapped: made by the agent, attached to by its clients.  Layout: layout.h.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/mapping.h"
#include "base/unique_fd.h"
#include "dsm/shm/layout.h"
#include "dsm/shm/page_word.h"
#include "dsm/shm/record_ring.h"

namespace pando::dsm {

struct ControlConfig {
  std::span<const SharedNodeRange> nodes;   // ascending, adjacent
  std::span<const uint8_t> vcpu_node;
  std::span<const uint8_t> distances;       // nodes x nodes
  std::span<const std::string> node_names;  // cut to kNodeNameMax - 1 bytes
  NodeId self{};
  uint32_t send_limit_ms = 10'000;
  uint32_t fault_around_pages = 16;
  uint32_t spin_ns = 0;
  uint32_t hold_min_ns = 100'000;
  bool hold_adaptive = true;
};

class ControlMemory {
 public:
  // Agent: a new memfd, sealed against resizing; every page word 0.
  static ControlMemory create(const ControlConfig& config);
  // Client: checks magic, version and every offset.  Throws UserError naming what does not fit.
  static ControlMemory attach(UniqueFd fd);

  int fd() const { return fd_.get(); }
  ControlHeader& header() const { return *reinterpret_cast<ControlHeader*>(map_.data()); }
  uint32_t page_count() const { return page_count_; }
  PageWord& word(PageId page) const { return words_[page.value()]; }
  std::atomic_ref<uint32_t> install_time(PageId page) const { return std::atomic_ref(times_[page.value()]); }
  std::span<SharedFaultRecord> fault_records() const { return records_; }
  std::span<SharedAddressSpace> address_spaces() const { return spaces_; }
  // Views; the caller keeps one per ring and side.
  RecordRing requests() const;
  RecordRing fabric_out() const;
  RecordRing fabric_in() const;

 private:
  ControlMemory(UniqueFd fd, Mapping map);
  RecordRing ring(const SharedRingPlace& place, Doorbell& consumer) const;
  UniqueFd fd_;
  Mapping map_;
  uint32_t page_count_ = 0;
  PageWord* words_ = nullptr;
  uint32_t* times_ = nullptr;
  std::span<SharedFaultRecord> records_;
  std::span<SharedAddressSpace> spaces_;
  SharedRingPlace requests_{}, fabric_out_{}, fabric_in_{};  // checked copies
};

}  // namespace pando::dsm
