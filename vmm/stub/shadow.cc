// SPDX-License-Identifier: Apache-2.0
#include "vmm/stub/shadow.h"

#include <sys/mman.h>
#include <sys/syscall.h>

#include <algorithm>

#include "base/types.h"

namespace pando::stub {

namespace {

constexpr uint64_t kProt = PANDO_PROT_READ | PANDO_PROT_WRITE | PANDO_PROT_EXEC;
static_assert(PANDO_PROT_READ == PROT_READ && PANDO_PROT_WRITE == PROT_WRITE && PANDO_PROT_EXEC == PROT_EXEC);
// The stub's filter lets through ranges shorter than 4 GiB.
constexpr uint64_t kCommandBytesMax = uint64_t{1} << 30;

constexpr uint64_t gpa_of(uint64_t entry) { return entry & ~(kPageSize - 1); }
constexpr unsigned prot_of(uint64_t entry) { return static_cast<unsigned>(entry & kProt); }

}  // namespace

Shadow::Leaf& Shadow::leaf_at(uint64_t va) {
  const uint64_t index = va >> kLeafShift;
  if (index == cached_index_) return *cached_leaf_;
  std::unique_ptr<Leaf>& leaf = leaves_[index];
  if (!leaf) leaf = std::make_unique<Leaf>();
  cached_index_ = index;
  cached_leaf_ = leaf.get();
  return *leaf;
}

const Shadow::Leaf* Shadow::find_leaf(uint64_t va) const {
  const uint64_t index = va >> kLeafShift;
  if (index == cached_index_) return cached_leaf_;
  const auto it = leaves_.find(index);
  if (it == leaves_.end()) return nullptr;
  cached_index_ = index;
  cached_leaf_ = it->second.get();
  return cached_leaf_;
}

void Shadow::mark(uint64_t from, uint64_t to) {
  if (!dirty_.empty() && dirty_.back().second >= from && dirty_.back().first <= from) {
    dirty_.back().second = std::max(dirty_.back().second, to);
  } else {
    dirty_.emplace_back(from, to);
  }
}

template <class F>
void Shadow::for_pages(uint64_t from, uint64_t to, F f) {
  for (auto it = leaves_.lower_bound(from >> kLeafShift); it != leaves_.end() && it->first << kLeafShift < to; ++it) {
    const uint64_t start = it->first << kLeafShift;
    const uint64_t first = std::max(from, start);
    const uint64_t last = std::min(to, start + (uint64_t{1} << kLeafShift));
    for (uint64_t va = first; va < last; va += kPageSize) {
      const size_t i = (va - start) >> kPageShift;
      f(va, it->second->want[i], it->second->have[i]);
    }
  }
}

void Shadow::map(uint64_t va, uint64_t gpa, uint64_t bytes, unsigned prot) {
  if (leaves_.size() >= kLeavesMax) drop_all();
  for (uint64_t offset = 0; offset < bytes; offset += kPageSize) {
    const uint64_t at = va + offset;
    Leaf& leaf = leaf_at(at);
    const size_t i = at >> kPageShift & (kLeafPages - 1);
    leaf.want[i] = (gpa + offset) | prot;
    if (leaf.want[i] != leaf.have[i]) mark(at, at + kPageSize);
  }
}

Shadow::Revokes Shadow::unmap(uint64_t va, uint64_t bytes) {
  Revokes revokes = Revokes::No;
  for_pages(va, va + bytes, [&](uint64_t at, Entry& want, const Entry& have) {
    want = 0;
    if (!reachable(have)) return;
    revokes = Revokes::Yes;
    mark(at, at + kPageSize);
  });
  return revokes;
}

Shadow::Revokes Shadow::resync(uint64_t from, uint64_t to, std::span<const pando_resync_entry> entries) {
  Revokes revokes = Revokes::No;
  auto next = entries.begin();
  for_pages(from, to, [&](uint64_t at, Entry& want, const Entry& have) {
    if (want == 0 && !reachable(have)) return;
    while (next != entries.end() && next->va < at) ++next;
    const Entry good = next != entries.end() && next->va == at ? next->gpa_prot : 0;
    const auto narrowed = [good](Entry e) {
      const Entry rights = gpa_of(e) == gpa_of(good) ? e & good & kProt : 0;
      return rights == 0 ? Entry{0} : gpa_of(e) | rights;
    };
    want = narrowed(want);
    if (reachable(have) && narrowed(have) != have) revokes = Revokes::Yes;
    if (want != have) mark(at, at + kPageSize);
  });
  return revokes;
}

Shadow::Revokes Shadow::clear() {
  dirty_.clear();
  if (mappings_ > kMappingsKept || leaves_.size() > kLeavesKept) {
    drop_all();
    return Revokes::Yes;
  }
  Revokes revokes = drop_ == Drop::Nothing ? Revokes::No : Revokes::Yes;
  for (auto& [index, leaf] : leaves_) {
    leaf->want.fill(0);
    for (Entry& have : leaf->have) {
      if (!reachable(have)) continue;
      have |= kEmpty;
      revokes = Revokes::Yes;
    }
  }
  if (revokes == Revokes::Yes && drop_ == Drop::Nothing) drop_ = Drop::Pages;
  return revokes;
}

void Shadow::drop_all() {
  leaves_.clear();
  cached_index_ = ~uint64_t{0};
  cached_leaf_ = nullptr;
  dirty_.clear();
  drop_ = Drop::Mappings;
}

void Shadow::forget(uint64_t va) {
  const uint64_t at = page_floor(va);
  for_pages(at, at + kPageSize, [&](uint64_t, const Entry&, Entry& have) { have = 0; });
  mark(at, at + kPageSize);
}

std::optional<Shadow::Page> Shadow::mapped(uint64_t va) const {
  const Leaf* leaf = find_leaf(va);
  if (leaf == nullptr) return std::nullopt;
  const Entry have = leaf->have[va >> kPageShift & (kLeafPages - 1)];
  if (!reachable(have)) return std::nullopt;
  return Page{gpa_of(have), prot_of(have)};
}

std::pair<uint64_t, uint64_t> Shadow::window(uint64_t va, uint64_t reach) const {
  const uint64_t at = page_floor(va);
  const std::optional<Page> page = mapped(at);
  uint64_t start = at, end = at + kPageSize;
  if (!page) return {start, end};
  const auto linear = [&](uint64_t other) {
    const std::optional<Page> p = mapped(other);
    return p && p->prot == page->prot && p->gpa - page->gpa == other - at;
  };
  while (start >= kPageSize && at - start < reach * kPageSize && linear(start - kPageSize)) start -= kPageSize;
  while (end - at < (reach + 1) * kPageSize && linear(end)) end += kPageSize;
  return {start, end};
}

void Shadow::merge_dirty() {
  if (dirty_.size() < 2) return;
  std::sort(dirty_.begin(), dirty_.end());
  size_t kept = 0;
  for (size_t i = 1; i < dirty_.size(); i++) {
    if (dirty_[i].first <= dirty_[kept].second) {
      dirty_[kept].second = std::max(dirty_[kept].second, dirty_[i].second);
    } else {
      dirty_[++kept] = dirty_[i];
    }
  }
  dirty_.resize(kept + 1);
}

// Joins neighbouring pages that need the same command.
class Shadow::BatchWriter {
 public:
  BatchWriter(std::span<stub_command> out, std::vector<Run>& runs, Populate populate)
      : out_(out), runs_(runs), flags_(MAP_SHARED | MAP_FIXED | (populate == Populate::Yes ? MAP_POPULATE : 0)) {}

  // False: no room; the page was not taken.
  bool page(uint64_t va, Entry want, Entry have) {
    const Kind kind = want == 0                                               ? Kind::Unmap
                      : (want | kEmpty) == have                               ? Kind::Fill
                      : reachable(have) && gpa_of(have) == gpa_of(want) ? Kind::Protect
                                                                              : Kind::Map;
    if (!continues(kind, va, want)) {
      flush();
      if (used_ + reserved_ + 3 > out_.size()) return false;
      kind_ = kind;
      start_ = va;
      first_ = want;
      bytes_ = 0;
    }
    bytes_ += kPageSize;
    return true;
  }
  void skip() { flush(); }
  void drop_pages() { emit(SYS_madvise, {0, PANDO_USER_TOP, MADV_DONTNEED}); }
  void drop_mappings() { emit(SYS_munmap, {0, PANDO_USER_TOP}); }
  uint32_t finish() {
    flush();
    return static_cast<uint32_t>(used_);
  }

 private:
  enum class Kind : uint8_t { Map, Fill, Protect, Unmap };

  bool continues(Kind kind, uint64_t va, Entry want) const {
    if (bytes_ == 0 || kind != kind_ || va != start_ + bytes_ || bytes_ >= kCommandBytesMax) return false;
    if (kind == Kind::Unmap) return true;
    return prot_of(want) == prot_of(first_) && (kind == Kind::Protect || gpa_of(want) == gpa_of(first_) + bytes_);
  }
  void emit(uint64_t number, std::array<uint64_t, 6> arguments) {
    stub_command& c = out_[used_++];
    c.number = number;
    std::copy(arguments.begin(), arguments.end(), c.argument);
    c.flags = 0;
  }
  void flush() {
    if (bytes_ == 0) return;
    switch (kind_) {
      case Kind::Unmap: emit(SYS_munmap, {start_, bytes_}); break;
      case Kind::Protect: emit(SYS_mprotect, {start_, bytes_, prot_of(first_)}); break;
      case Kind::Map:
        emit(SYS_mmap, {start_, bytes_, prot_of(first_), flags_, STUB_FD_RAM, gpa_of(first_)});
        runs_.push_back({start_, gpa_of(first_), bytes_, prot_of(first_), false});
        reserved_ += 2;
        break;
      case Kind::Fill:
        runs_.push_back({start_, gpa_of(first_), bytes_, prot_of(first_), true});
        reserved_ += 2;
        break;
    }
    bytes_ = 0;
  }

  std::span<stub_command> out_;
  std::vector<Run>& runs_;
  const uint64_t flags_;
  size_t used_ = 0, reserved_ = 0;
  Kind kind_ = Kind::Map;
  uint64_t start_ = 0, bytes_ = 0;
  Entry first_ = 0;
};

Shadow::Batch Shadow::take(std::span<stub_command> out, std::vector<Run>& runs, Populate populate) {
  BatchWriter writer(out, runs, populate);
  if (drop_ == Drop::Pages) writer.drop_pages();
  if (drop_ == Drop::Mappings) {
    writer.drop_mappings();
    mappings_ = 0;
  }
  drop_ = Drop::Nothing;
  merge_dirty();
  bool full = false;
  size_t done = 0;
  for (auto& [from, to] : dirty_) {
    uint64_t stopped_at = to;
    for_pages(from, to, [&](uint64_t va, const Entry& want, Entry& have) {
      if (full) return;
      if (want == have || (want == 0 && !reachable(have))) return writer.skip();
      if (!writer.page(va, want, have)) {
        full = true;
        stopped_at = va;
        return;
      }
      have = want;
    });
    if (full) {
      from = stopped_at;
      break;
    }
    done++;
  }
  dirty_.erase(dirty_.begin(), dirty_.begin() + static_cast<ptrdiff_t>(done));
  const uint32_t commands = writer.finish();
  mappings_ += runs.size();
  return {commands, !dirty_.empty()};
}

}  // namespace pando::stub
