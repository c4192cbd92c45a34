// SPDX-License-Identifier: Apache-2.0
// dsm/core: arrays of per-page state with side records for the few pages that are busy.
//
// One owner thread (or lock) per table.  References and actions stay valid until the next call.
// Sizes: 12 bytes per page homed here, 8 bytes per page of the guest, below 0.5 KiB per busy page.
#pragma once

#include <memory>
#include <vector>

#include "dsm/core/cache.h"
#include "dsm/core/home.h"

namespace pando::dsm {

// Numbered records 1 .. 65535, created on demand, reused when given back.  0 = none.
template <class Record>
class SideRecords {
 public:
  static constexpr size_t kLimit = 65535;

  uint16_t put(const Record& record) {  // not full
    if (free_.empty()) {
      records_.push_back(std::make_unique<Record>(record));
      return static_cast<uint16_t>(records_.size());
    }
    const uint16_t slot = free_.back();
    free_.pop_back();
    (*this)[slot] = record;
    return slot;
  }
  void release(uint16_t slot) {
    (*this)[slot] = Record{};
    free_.push_back(slot);
  }
  Record& operator[](uint16_t slot) { return *records_[slot - 1]; }
  const Record& operator[](uint16_t slot) const { return *records_[slot - 1]; }
  size_t in_use() const { return records_.size() - free_.size(); }

 private:
  std::vector<std::unique_ptr<Record>> records_;
  std::vector<uint16_t> free_;
};

struct PageRange {
  PageId first;
  uint32_t pages = 0;
  bool has(PageId p) const { return p.value() - first.value() < pages; }
};

// The home side: the pages of one node's range.
class DirectoryTable {
 public:
  // busy_max: pages with a transaction under way at once; a request for one more is
  // Outcome::Overload.  Choose at least nodes x (requests that a node may have under way).
  DirectoryTable(const CoreConfig& config, PageRange homed, uint16_t busy_max);

  // Start of the cluster only: the page has the same content on every node.
  void share_everywhere(PageId page);

  StepResult step(NodeId from, const Message& message, HomeHint hint, ActionList& out);

  const DirectoryEntry& entry(PageId page) const {
    return entries_[page.value() - homed_.first.value()];
  }
  // nullptr while nothing is under way for the page.
  const HomeTransaction* transaction(PageId page) const;
  const PageRange& range() const { return homed_; }
  size_t busy() const { return records_.in_use(); }

 private:
  CoreConfig config_;
  size_t busy_max_;
  PageRange homed_;
  std::vector<DirectoryEntry> entries_;
  SideRecords<HomeTransaction> records_;
};

// The cache side: all pages of the guest.
class CacheTable {
 public:
  // ranges: by node id, adjacent, from page 0.  busy_max: a local access or eviction that finds so
  // many pages busy is Outcome::Overload.  What peers ask is served beyond it, up to
  // SideRecords::kLimit pages.
  CacheTable(const CoreConfig& config, std::vector<PageRange> ranges, uint16_t busy_max);

  void share_everywhere(PageId page);

  // Each: see cache_step.  A page outside the guest is a ProtocolError.
  StepResult access(PageId page, Right wanted, RequestId request, ActionList& out);
  StepResult evict(PageId page, RequestId request, ActionList& out);
  StepResult hold(PageId page, ActionList& out);
  StepResult hold_expired(PageId page, ActionList& out);
  StepResult receive(NodeId from, const Message& message, ActionList& out);

  NodeId home_of(PageId page) const;  // of a page of the guest
  bool has(PageId page) const { return page.value() < entries_.size(); }
  const CacheEntry& entry(PageId page) const { return entries_[page.value()]; }
  const CacheTransaction* transaction(PageId page) const;
  size_t busy() const { return records_.in_use(); }

 private:
  StepResult step(PageId page, const CacheEvent& event, size_t limit, ActionList& out);

  CoreConfig config_;
  size_t busy_max_;
  std::vector<PageRange> ranges_;
  std::vector<CacheEntry> entries_;
  SideRecords<CacheTransaction> records_;
};

}  // namespace pando::dsm
