// SPDX-License-Identifier: Apache-2.0
// What one stub has mapped, and what it should have: the difference becomes commands at its next run.
//
// For each page there is at most one command in a batch, the one that leads to the latest wish.  The sandbox rests on
// that: a stub can execute a command of the current batch twice, but not one that has been superseded.
//
// Pure: no I/O, no locks.  Addresses and rights have been checked by the caller.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "guest_abi/hypercall.h"
#include "vmm/stub/stub_filter.h"
#include "vmm/stub/stub_layout.h"

namespace pando::stub {

class Shadow {
 public:
  // Whether the stub can still reach something that it must not: then its user code may not run before the next batch.
  enum class Revokes : uint8_t { No, Yes };

  void map(uint64_t va, uint64_t gpa, uint64_t bytes, unsigned prot);
  Revokes unmap(uint64_t va, uint64_t bytes);
  // Narrows [from, to) to what is listed.
  Revokes resync(uint64_t from, uint64_t to, std::span<const pando_resync_entry> entries);
  // Drops everything: all pages, not their mappings.  These stay, registered and empty, because making and unmaking them
  // and their page tables costs more than the rest.  A later batch fills those that are wanted again and replaces the
  // others one by one.
  Revokes clear();
  // Drops the mappings as well: for a stub that may have unregistered ones, or too many.
  void drop_all();
  // The stub has turned out not to have this page: what should be there is mapped anew.
  void forget(uint64_t va);

  // What the stub has mapped at va since its last batch.
  struct Page {
    uint64_t gpa;
    unsigned prot;  // PANDO_PROT_*
  };
  std::optional<Page> mapped(uint64_t va) const;
  // The pages around va, at most `reach` to each side, that are mapped linearly with it and with the same rights.
  std::pair<uint64_t, uint64_t> window(uint64_t va, uint64_t reach) const;

  // A run of pages that the batch maps: to be installed, and first to be registered unless its mapping had stayed.
  struct Run {
    uint64_t va, gpa, bytes;
    unsigned prot;
    bool registered = false;
  };
  struct Batch {
    uint32_t commands = 0;
    bool more = false;  // did not fit: another batch is needed before user code may run
  };
  // Writes mmap, munmap and mprotect commands and appends the mapped runs, for each of which the caller may write two
  // more commands: all together at most `capacity`.  Populate: the mappings are made with all their pages present.
  Batch take(std::span<stub_command> out, std::vector<Run>& runs, Populate populate = Populate::No);

 private:
  static constexpr uint64_t kLeafShift = 21, kLeafPages = 512;
  // Beyond this, everything is dropped: bounds the memory that a guest can make this side use (8 KiB each).
  static constexpr size_t kLeavesMax = 16384;
  // Beyond these, mappings do not stay when everything is dropped.
  static constexpr size_t kMappingsKept = 4096, kLeavesKept = 32;

  // gpa | prot; 0: nothing.  What the stub has may be kEmpty: mapped so, without the page.
  using Entry = uint64_t;
  static constexpr Entry kEmpty = 1 << 3;
  static bool reachable(Entry have) { return have != 0 && (have & kEmpty) == 0; }
  struct Leaf {
    std::array<Entry, kLeafPages> want{}, have{};
  };
  using Leaves = std::map<uint64_t, std::unique_ptr<Leaf>>;

  Leaf& leaf_at(uint64_t va);
  const Leaf* find_leaf(uint64_t va) const;
  void mark(uint64_t from, uint64_t to);
  void merge_dirty();
  // Calls f(va, want, have) for each page of [from, to) in a leaf.
  template <class F>
  void for_pages(uint64_t from, uint64_t to, F f);
  class BatchWriter;

  Leaves leaves_;
  mutable uint64_t cached_index_ = ~uint64_t{0};
  mutable Leaf* cached_leaf_ = nullptr;
  std::vector<std::pair<uint64_t, uint64_t>> dirty_;
  enum class Drop : uint8_t { Nothing, Pages, Mappings };
  Drop drop_ = Drop::Nothing;
  size_t mappings_ = 0;  // made since Drop::Mappings: at least half of what the stub has
};

}  // namespace pando::stub
