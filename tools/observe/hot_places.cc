// SPDX-License-Identifier: Apache-2.0
#include "tools/observe/hot_places.h"

#include <algorithm>
#include <set>

namespace pando::observe {

namespace {

constexpr uint64_t kPageBytes = 4096, kWordBytes = 8;

struct PageHeat {
  Place place;
  std::map<uint64_t, Word> words;  // by offset in the page
  std::set<uint32_t> users;        // nodes whose user code touched it
};

void add(NodeCounts& to, const v1::FaultRecord& fault) {
  ++to.faults;
  to.writes += fault.write();
  to.wait_ns += fault.wait_ns();
}

void add(NodeCounts& to, const NodeCounts& more) {
  to.faults += more.faults;
  to.writes += more.writes;
  to.wait_ns += more.wait_ns;
}

void add(PageHeat& page, uint32_t node, const v1::FaultRecord& fault, bool lock) {
  Place& p = page.place;
  const bool first = p.faults == 0;
  ++p.faults;
  p.writes += fault.write();
  p.wait_ns += fault.wait_ns();
  p.lock_faults += lock;
  add(p.nodes[node], fault);
  ++p.code[{fault.rip(), fault.user() ? fault.mm() : 0}];
  // Where user code touched it, the user's addresses say more than the kernel's.
  const bool user_begins = fault.user() && p.mm == 0;
  if (first || user_begins) p.first_address = p.last_address = fault.address();
  if (fault.user() || p.mm == 0) {
    p.first_address = std::min(p.first_address, fault.address());
    p.last_address = std::max(p.last_address, fault.address());
  }
  if (fault.user()) {
    p.mm = fault.mm();
    page.users.insert(node);
  }
  Word& word = page.words[fault.address() % kPageBytes / kWordBytes * kWordBytes];
  ++word.faults;
  word.lock_faults += lock;
  if (word.address == 0 || (fault.user() && !word.user)) word.address = fault.address();
  word.user |= fault.user();
  add(word.nodes[node], fault);
}

// A page that one process gave back and another one got is two places.  What the kernel touches counts for the page's
// only user, if it has just one.
using PageUse = std::pair<uint64_t, uint64_t>;  // page, mm

std::map<uint64_t, uint64_t> only_users(const v1::Recording& recording) {
  constexpr uint64_t kSeveral = 0;
  std::map<uint64_t, uint64_t> users;
  for (const v1::RecordedNode& node : recording.nodes()) {
    for (const v1::FaultRecord& fault : node.faults()) {
      if (!fault.user()) continue;
      const auto [it, is_new] = users.try_emplace(fault.page(), fault.mm());
      if (!is_new && it->second != fault.mm()) it->second = kSeveral;
    }
  }
  return users;
}

std::map<PageUse, PageHeat> by_use(const v1::Recording& recording, const PlaceOptions& options) {
  const auto users = only_users(recording);
  std::map<PageUse, PageHeat> pages;
  for (const v1::RecordedNode& node : recording.nodes()) {
    for (const v1::FaultRecord& fault : node.faults()) {
      const auto user = users.find(fault.page());
      const uint64_t mm = fault.user() ? fault.mm() : user == users.end() ? 0 : user->second;
      PageHeat& page = pages[{fault.page(), mm}];
      const bool lock = options.is_lock && options.is_lock({fault.rip(), fault.user() ? fault.mm() : 0});
      add(page, node.id(), fault, lock);
    }
  }
  return pages;
}

bool is_user_neighbour(const Place& run, const Place& page) {
  return run.mm == page.mm && run.mm != 0;
}

// Whether the page continues the run: used by the same one node, homed on the same node, by the same process.
bool continues(const Place& run, const Place& page, uint64_t gap_pages_max) {
  if (run.contended() || page.contended() || run.home != page.home) return false;
  if (run.nodes.begin()->first != page.nodes.begin()->first) return false;
  if (run.mm != page.mm) return false;
  // User memory is contiguous by its own addresses; kernel memory by physical ones.
  const uint64_t distance = is_user_neighbour(run, page)
                                ? page.first_address / kPageBytes - run.last_address / kPageBytes
                                : page.first_page - run.last_page;
  return distance <= gap_pages_max + 1;
}

void append(Place& run, const Place& page) {
  run.first_page = std::min(run.first_page, page.first_page);
  run.last_page = std::max(run.last_page, page.last_page);
  run.first_address = std::min(run.first_address, page.first_address);
  run.last_address = std::max(run.last_address, page.last_address);
  run.pages += page.pages;
  run.faults += page.faults;
  run.writes += page.writes;
  run.wait_ns += page.wait_ns;
  run.lock_faults += page.lock_faults;
  for (const auto& [node, counts] : page.nodes) add(run.nodes[node], counts);
  for (const auto& [code, faults] : page.code) run.code[code] += faults;
  run.words.clear();
}

// In the order in which runs are contiguous.
bool run_order(const Place& a, const Place& b) {
  if (a.mm != b.mm) return a.mm < b.mm;
  return a.mm != 0 ? a.first_address < b.first_address : a.first_page < b.first_page;
}

}  // namespace

double seconds_of(const v1::Recording& recording) {
  return std::max<double>(1e-9, static_cast<double>(recording.duration_ns()) * 1e-9);
}

uint32_t home_of(const v1::Recording& recording, uint64_t page) {
  for (const v1::RecordedNode& node : recording.nodes()) {
    const v1::StatusReply& s = node.after();
    if (page >= s.page_first() && page - s.page_first() < s.pages_home()) return node.id();
  }
  return recording.nodes().empty() ? 0 : recording.nodes(0).id();
}

std::vector<Place> find_hot_places(const v1::Recording& recording, const PlaceOptions& options) {
  std::vector<Place> pages;
  for (auto& [use, heat] : by_use(recording, options)) {
    Place& place = heat.place;
    place.first_page = place.last_page = use.first;
    place.pages = 1;
    place.home = home_of(recording, use.first);
    // A kernel that clears or copies a page for a process does not fight for it.
    if (!heat.users.empty()) std::erase_if(place.nodes, [&](const auto& n) { return !heat.users.contains(n.first); });
    for (auto& [offset, word] : heat.words) place.words.push_back(std::move(word));
    std::ranges::stable_sort(place.words, std::ranges::greater{}, &Word::faults);
    pages.push_back(std::move(place));
  }
  std::ranges::stable_sort(pages, run_order);
  std::vector<Place> places;
  size_t open = SIZE_MAX;  // the run that the next page may continue; contended pages between do not end it
  for (Place& page : pages) {
    if (open != SIZE_MAX && continues(places[open], page, options.gap_pages_max)) {
      append(places[open], page);
      continue;
    }
    if (!page.contended()) open = places.size();
    places.push_back(std::move(page));
  }
  std::ranges::stable_sort(places, std::ranges::greater{}, &Place::wait_ns);
  return places;
}

}  // namespace pando::observe
