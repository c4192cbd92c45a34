// SPDX-License-Identifier: Apache-2.0
#include "dsm/core/tables.h"

#include <utility>

namespace pando::dsm {
namespace {

// Steps with the page's side record.  A page that has none borrows one on the stack, and keeps it
// if it is in use after.
template <class Entry, class Record, class Step>
StepResult with_record(Entry& entry, SideRecords<Record>& records, size_t limit, Step step) {
  if (entry.slot != 0) {
    const StepResult result = step(records[entry.slot]);
    if (records[entry.slot].idle()) records.release(std::exchange(entry.slot, uint16_t{0}));
    return result;
  }
  if (records.in_use() >= limit) return {Outcome::Overload, "too many pages busy at once"};
  Record record;
  const StepResult result = step(record);
  if (!record.idle()) entry.slot = records.put(record);
  return result;
}

}  // namespace

DirectoryTable::DirectoryTable(const CoreConfig& config, PageRange homed, uint16_t busy_max)
    : config_(config),
      busy_max_(busy_max),
      homed_(homed),
      entries_(homed.pages, initial_home_entry(config.self)) {}

void DirectoryTable::share_everywhere(PageId page) {
  entries_[page.value() - homed_.first.value()] = initial_shared_entry(config_.nodes);
}

StepResult DirectoryTable::step(NodeId from, const Message& message, HomeHint hint,
                                ActionList& out) {
  if (!homed_.has(message.page)) return StepResult::error("request for a page homed elsewhere");
  DirectoryEntry& e = entries_[message.page.value() - homed_.first.value()];
  return with_record(e, records_, busy_max_, [&](HomeTransaction& txn) {
    return home_step(config_, e, txn, from, message, hint, out);
  });
}

const HomeTransaction* DirectoryTable::transaction(PageId page) const {
  const uint16_t slot = entry(page).slot;
  return slot == 0 ? nullptr : &records_[slot];
}

CacheTable::CacheTable(const CoreConfig& config, std::vector<PageRange> ranges, uint16_t busy_max)
    : config_(config), busy_max_(busy_max), ranges_(std::move(ranges)) {
  uint32_t pages = 0;
  for (const PageRange& r : ranges_) pages += r.pages;
  entries_.resize(pages);
  const PageRange own = ranges_[config.self.value()];
  for (uint32_t i = 0; i < own.pages; ++i)
    entries_[own.first.value() + i] = initial_cache_entry(config.self, config.self);
}

void CacheTable::share_everywhere(PageId page) {
  entries_[page.value()] = initial_shared_cache_entry();
}

NodeId CacheTable::home_of(PageId page) const {
  uint8_t n = 0;
  while (!ranges_[n].has(page)) ++n;
  return NodeId(n);
}

StepResult CacheTable::step(PageId page, const CacheEvent& event, size_t limit, ActionList& out) {
  if (!has(page)) return StepResult::error("page outside the guest");
  CacheEntry& e = entries_[page.value()];
  const CachePage where{page, home_of(page)};
  return with_record(e, records_, limit, [&](CacheTransaction& txn) {
    return cache_step(config_, where, e, txn, event, out);
  });
}

StepResult CacheTable::access(PageId page, Right wanted, RequestId request, ActionList& out) {
  const CacheEventType type = wanted == Right::Write ? CacheEventType::Write : CacheEventType::Read;
  return step(page, {type, NodeId(), request, Message{}}, busy_max_, out);
}

StepResult CacheTable::evict(PageId page, RequestId request, ActionList& out) {
  return step(page, {CacheEventType::Evict, NodeId(), request, Message{}}, busy_max_, out);
}

// Holds take no record of their own, so they are never refused.
StepResult CacheTable::hold(PageId page, ActionList& out) {
  const CacheEvent event{CacheEventType::Hold, NodeId(), RequestId(), Message{}};
  return step(page, event, SideRecords<CacheTransaction>::kLimit + 1, out);
}

StepResult CacheTable::hold_expired(PageId page, ActionList& out) {
  const CacheEvent event{CacheEventType::HoldExpired, NodeId(), RequestId(), Message{}};
  return step(page, event, SideRecords<CacheTransaction>::kLimit + 1, out);
}

StepResult CacheTable::receive(NodeId from, const Message& message, ActionList& out) {
  const CacheEvent event{CacheEventType::Receive, from, RequestId(), message};
  return step(message.page, event, SideRecords<CacheTransaction>::kLimit, out);
}

const CacheTransaction* CacheTable::transaction(PageId page) const {
  const uint16_t slot = entry(page).slot;
  return slot == 0 ? nullptr : &records_[slot];
}

}  // namespace pando::dsm
