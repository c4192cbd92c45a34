// SPDX-License-Identifier: Apache-2.0
#include "dsm/client/shared_node_client.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <ctime>

#include "base/error.h"
#include "dsm/shm/hold_window.h"

namespace pando::dsm {

namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

// How long a fault sleeps before it looks whether the cluster has ended.
constexpr milliseconds kEndedCheck{200};

// A reader that comes to the first page of a run gets as much of it mapped as is here.
constexpr uint32_t kReadRunPages = 64;

// What the instruction under way in this thread has asked for.
constinit thread_local FaultStreak t_streak;

// Longer than any hold window.
constexpr int64_t kHoldMaxNs = 1'000'000'000;

int64_t monotonic_ns() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

bool allows(uint32_t bits, Access access) {
  const Right right = PageWord::right_of(bits);
  return access == Access::Write ? right == Right::Write : right != Right::None;
}

// How a page with these bits is mapped: one that was granted exclusively for a read stays write-protected until it is
// written, so that its owner can say "clean".
Uffd::Protection protection_of(uint32_t bits) {
  return PageWord::right_of(bits) == Right::Write && !(bits & PageWord::kClean) ? Uffd::Protection::Writable
                                                                                : Uffd::Protection::WriteProtected;
}

uint32_t mapped_bits(Uffd::Protection protection, bool own_mm) {
  return PageWord::kMapped | (protection == Uffd::Protection::Writable ? PageWord::kWritable : 0) |
         (own_mm ? 0 : PageWord::kElsewhere);
}

ClusterLayout read_layout(const ControlHeader& h) {
  ClusterLayout l;
  l.self = NodeId(static_cast<uint8_t>(h.self));
  for (uint32_t i = 0; i < h.node_count; ++i) {
    l.nodes.push_back({GuestPhys(h.nodes[i].start), h.nodes[i].bytes});
    l.names.emplace_back(h.node_names[i], strnlen(h.node_names[i], kNodeNameMax));
  }
  for (uint32_t i = 0; i < h.vcpu_count; ++i) l.vcpu_node.push_back(NodeId(h.vcpu_node[i]));
  l.distances.assign(h.distances, h.distances + h.node_count * h.node_count);
  l.ram_bytes = h.ram_bytes;
  return l;
}

}  // namespace

NodeId ClusterLayout::home_of(PageId page) const {
  const uint64_t at = address_of(page).value();
  for (size_t i = 0; i < nodes.size(); ++i)
    if (at - nodes[i].start.value() < nodes[i].bytes) return NodeId(static_cast<uint8_t>(i));
  check_failed("page lies in guest RAM", __FILE__, __LINE__);
}

std::unique_ptr<NodeClient> NodeClient::attach(UniqueFd ram, UniqueFd control) {
  ControlMemory memory = ControlMemory::attach(std::move(control));
  struct stat st {};
  check_errno(fstat(ram.get(), &st), "fstat of guest RAM");
  if (static_cast<uint64_t>(st.st_size) < memory.header().ram_bytes)
    throw UserError("guest RAM is smaller than the control memory says");
  return std::make_unique<SharedNodeClient>(std::move(ram), std::move(memory));
}

SharedNodeClient::SharedNodeClient(UniqueFd ram, ControlMemory control)
    : ram_(std::move(ram)), control_(std::move(control)), layout_(read_layout(control_.header())),
      requests_(control_.requests()), fabric_out_(control_.fabric_out()), fabric_in_(control_.fabric_in()) {}

int64_t SharedNodeClient::clock_offset_ns() const {
  return control_.header().clock_offset_ns.load(std::memory_order_relaxed);
}

unsigned SharedNodeClient::host_nodes() const {
  return std::max(1u, control_.header().host_nodes.load(std::memory_order_relaxed));
}

NodeClient::Fault SharedNodeClient::fault_in(const Uffd& uffd, uint64_t mapped_at, PageId page, uint64_t window_start,
                                             uint64_t window_end, const FaultInfo& info) {
  CHECK(page.value() < control_.page_count());
  const Place place{uffd, page_floor(mapped_at), page, window_start, window_end};
  PageWord& word = control_.word(page);
  int64_t waiting_since = 0;
  for (;;) {
    const uint32_t bits = word.lock();
    if (allows(bits, info.access)) {
      const Installed result = install(place, bits, info.access);
      if (result == Installed::Again) continue;
      if (waiting_since != 0) {
        hold_what_is_needed();
        record(page, info, waiting_since);
      } else {
        faults_local_.fetch_add(1, std::memory_order_relaxed);
      }
      return result == Installed::Yes ? Fault::Installed : Fault::Gone;
    }
    if (control_.header().ended.load(std::memory_order_acquire)) {
      word.unlock(bits);
      return Fault::Ended;
    }
    if (waiting_since == 0) {
      waiting_since = monotonic_ns();
      t_streak.on_fault(info.rip, page, info.access == Access::Write ? Right::Write : Right::Read);
    }
    ask(page, bits, info);
  }
}

// Takes the page's lock over and gives it back; returns when the word may have changed.
void SharedNodeClient::ask(PageId page, uint32_t bits, const FaultInfo& info) {
  PageWord& word = control_.word(page);
  const bool write = info.access == Access::Write;
  const uint32_t covering = write ? PageWord::kAskedWrite : PageWord::kAskedRead | PageWord::kAskedWrite;
  const bool first = !(bits & covering);
  if (first) bits = (bits & ~PageWord::kAhead) | (write ? PageWord::kAskedWrite : PageWord::kAskedRead);
  word.unlock(bits);
  // After the unlock: the agent takes the lock as soon as it sees the request.
  auto& waiting = control_.header().waiting_threads;  // a hint, read by ClientLink::gather
  waiting.fetch_add(1, std::memory_order_relaxed);
  if (!first || request(page, info.access, info.vcpu))
    word.wait_change(bits, nanoseconds(control_.header().spin_ns), kEndedCheck);
  waiting.fetch_sub(1, std::memory_order_relaxed);
}

// False: the cluster has ended.
bool SharedNodeClient::request(PageId page, Access access, VcpuId vcpu) {
  const PageRequest request{RequestKind::Fetch, access == Access::Write, vcpu.value(), page.value(), 1,
                            static_cast<uint32_t>(monotonic_ns())};
  const std::span head(reinterpret_cast<const uint8_t*>(&request), sizeof request);
  while (requests_.push(head, {}, kEndedCheck) != RecordRing::Push::Done)
    if (control_.header().ended.load(std::memory_order_acquire)) return false;
  return true;
}

// The agent asks for the next run.  Nothing depends on it, so it is not worth waiting for.
void SharedNodeClient::tell_ahead(uint32_t page) {
  const PageRequest request{RequestKind::Ahead, 0, 0, page, 1, 0};
  (void)requests_.try_push({reinterpret_cast<const uint8_t*>(&request), sizeof request}, {});
}

void SharedNodeClient::fetch_ahead(PageId page, VcpuId vcpu) {
  if (page.value() >= control_.page_count()) return;
  PageWord& word = control_.word(page);
  const uint32_t bits = word.lock();
  const bool ask = !allows(bits, Access::Write) && !(bits & (PageWord::kAskedRead | PageWord::kAskedWrite));
  word.unlock(ask ? bits | PageWord::kAskedWrite : bits);
  if (ask) (void)request(page, Access::Write, vcpu);
}

void SharedNodeClient::end_hold(PageId page) {
  if (page.value() >= control_.page_count()) return;
  begin_hold(page, -kHoldMaxNs);
}

SharedNodeClient::Installed SharedNodeClient::install(const Place& place, uint32_t bits, Access access) {
  PageWord& word = control_.word(place.page);
  if (access == Access::Write) bits &= ~PageWord::kClean;
  Installed result = Installed::Yes;
  uint32_t marked = bits & PageWord::kAhead ? place.page.value() : UINT32_MAX;
  bits &= ~PageWord::kAhead;
  if (!(bits & PageWord::kMapped) && map_run(place, bits, marked)) {
    bits |= PageWord::kPresent | mapped_bits(protection_of(bits), place.uffd.is_own_mm());
  } else {
    result = map_one(place, bits);
  }
  if (result == Installed::Yes && (bits & PageWord::kFresh)) note_installed(place.page, bits);
  word.unlock(bits);
  if (marked != UINT32_MAX) tell_ahead(marked);
  return result;
}

// The hold window of a granted page begins now.
void SharedNodeClient::note_installed(PageId page, uint32_t& bits) {
  bits &= ~PageWord::kFresh;
  begin_hold(page, 0);
}

void SharedNodeClient::begin_hold(PageId page, int64_t longer_ns) {
  control_.install_time(page).store(static_cast<uint32_t>((monotonic_ns() + longer_ns) >> kInstallTimeShift),
                                    std::memory_order_relaxed);
}

// The pages that this thread's instruction needs together are held together, from now on, and longer each time it had
// to fetch one of them again.
void SharedNodeClient::hold_what_is_needed() {
  const auto needs = t_streak.needs();
  if (needs.size() < 2 && t_streak.repeats() == 0) return;
  const ControlHeader& header = control_.header();
  const int64_t longer = hold_window_ns(header, t_streak.repeats()) - hold_window_ns(header, 0);
  bool all = true;
  for (const FaultStreak::Need& need : needs) {
    const bool here = PageWord::right_of(control_.word(need.page).peek()) >= need.right;
    if (here) begin_hold(need.page, longer);
    all &= here;
  }
  if (all) t_streak.on_all_here();
}

// Maps the page together with its neighbours in one call.  False: nothing can be said, map it alone.
// marked: set to a page of the run that has kAhead, which it then has no more.
bool SharedNodeClient::map_run(const Place& place, uint32_t bits, uint32_t& marked) {
  const Run run = lock_neighbours(place, bits, marked == UINT32_MAX ? FaultAround::Window : FaultAround::Run);
  if (run.end - run.first < 2) return false;
  if (run.hole) allocate(run.first, run.end);
  const Uffd::Protection protection = protection_of(bits);
  const uint64_t start = place.at - (uint64_t{place.page.value() - run.first} << kPageShift);
  const bool done = place.uffd.continue_pages(start, uint64_t{run.end - run.first} << kPageShift, protection) ==
                    Uffd::Continue::Installed;
  for (uint32_t p = run.first; p < run.end; ++p) {
    if (p == place.page.value()) continue;
    PageWord& word = control_.word(PageId(p));
    const uint32_t before = word.peek();
    if (before & PageWord::kAhead) marked = p;
    // A call that failed half-way may have mapped some: count all as mapped.
    word.unlock((before & ~PageWord::kAhead) | PageWord::kPresent | mapped_bits(protection, place.uffd.is_own_mm()));
  }
  return done;
}

// Within the aligned window around the page; of a run that was read ahead, what follows it.
SharedNodeClient::Run SharedNodeClient::lock_neighbours(const Place& place, uint32_t bits, FaultAround around) {
  const uint32_t self = place.page.value();
  const uint32_t window = around == FaultAround::Run ? kReadRunPages : control_.header().fault_around_pages;
  const uint32_t inside = around == FaultAround::Run ? 0 : self % window;
  const uint32_t below = std::min<uint64_t>(inside, (place.at - std::min(place.at, place.window_start)) >> kPageShift);
  const uint32_t above = std::min<uint64_t>(window - inside, (std::max(place.at, place.window_end) - place.at) >> kPageShift);
  Run run{self, self + 1, !(bits & PageWord::kPresent)};
  const auto take = [&](uint32_t p) {
    PageWord& word = control_.word(PageId(p));
    const auto fits = [&](uint32_t b) {
      return PageWord::right_of(b) != Right::None && !(b & (PageWord::kMapped | PageWord::kFresh)) &&
             protection_of(b) == protection_of(bits);
    };
    uint32_t other = 0;
    if (!fits(word.peek()) || !word.try_lock(other)) return false;
    if (!fits(other)) {
      word.unlock(other);
      return false;
    }
    run.hole |= !(other & PageWord::kPresent);
    return true;
  };
  while (run.first > self - below && take(run.first - 1)) --run.first;
  while (run.end < std::min(self + above, control_.page_count()) && take(run.end)) ++run.end;
  return run;
}

SharedNodeClient::Installed SharedNodeClient::map_one(const Place& place, uint32_t& bits) {
  if (!(bits & PageWord::kPresent)) {
    allocate(place.page.value(), place.page.value() + 1);
    bits |= PageWord::kPresent;
  }
  const Uffd::Protection protection = protection_of(bits);
  switch (place.uffd.continue_pages(place.at, kPageSize, protection)) {
    case Uffd::Continue::Installed: break;
    case Uffd::Continue::AlreadyMapped:
      if (protection == Uffd::Protection::Writable) place.uffd.write_protect(place.at, kPageSize, protection);
      break;
    case Uffd::Continue::Retry: return Installed::Again;
    case Uffd::Continue::Gone: return Installed::Gone;
    case Uffd::Continue::Hole:
      // The word says that there is content, the file has none: only a broken agent or client can do that.
      check_failed("a present page has content", __FILE__, __LINE__);
  }
  bits |= mapped_bits(protection, place.uffd.is_own_mm());
  return Installed::Yes;
}

void SharedNodeClient::allocate(uint32_t first, uint32_t end) const {
  check_errno(fallocate(ram_.get(), 0, static_cast<off_t>(uint64_t{first} << kPageShift),
                        static_cast<off_t>(uint64_t{end - first} << kPageShift)),
              "fallocate of guest RAM (out of memory on this host?)");
}

bool SharedNodeClient::lock_for_map(PageId page, Access access) {
  if (page.value() >= control_.page_count()) return false;
  PageWord& word = control_.word(page);
  uint32_t bits = word.lock();
  if (!allows(bits, access)) {
    word.unlock(bits);
    return false;
  }
  if (!(bits & PageWord::kPresent)) allocate(page.value(), page.value() + 1);
  bits |= PageWord::kPresent | PageWord::kMapped | PageWord::kElsewhere;
  if (access == Access::Write) bits = (bits | PageWord::kWritable) & ~PageWord::kClean;
  if (bits & PageWord::kFresh) note_installed(page, bits);
  const bool marked = bits & PageWord::kAhead;
  word.update_locked(bits & ~PageWord::kAhead);
  if (marked) tell_ahead(page.value());
  return true;
}

void SharedNodeClient::unlock_mapped(PageId page) {
  PageWord& word = control_.word(page);
  word.unlock(word.peek());
}

void SharedNodeClient::write_content(GuestPhys at, std::span<const uint8_t> bytes) {
  CHECK(at.value() <= layout_.ram_bytes && bytes.size() <= layout_.ram_bytes - at.value());
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t n = pwrite(ram_.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(at.value() + done));
    done += static_cast<size_t>(check_errno(n, "writing guest RAM"));
  }
  if (bytes.empty()) return;
  const uint32_t last = page_of(GuestPhys(at.value() + bytes.size() - 1)).value();
  for (uint32_t p = page_of(at).value(); p <= last; ++p) {
    PageWord& word = control_.word(PageId(p));
    word.unlock(word.lock() | PageWord::kPresent);
  }
}

void SharedNodeClient::preload(GuestPhys at, std::span<const uint8_t> bytes) {
  if (bytes.empty()) return;
  write_content(at, bytes);
  const PageId first = page_of(at);
  const uint32_t count = page_of(GuestPhys(at.value() + bytes.size() - 1)).value() - first.value() + 1;
  const PageRequest request{RequestKind::Preloaded, 0, 0, first.value(), count, 0};
  const std::span head(reinterpret_cast<const uint8_t*>(&request), sizeof request);
  if (requests_.push(head, {}, milliseconds(control_.header().send_limit_ms)) != RecordRing::Push::Done)
    throw HostError("telling the agent of preloaded pages", ETIMEDOUT);
}

void SharedNodeClient::preload_home(GuestPhys at, std::span<const uint8_t> bytes) {
  if (bytes.empty()) return;
  CHECK(layout_.home_of(page_of(at)) == layout_.self &&
        layout_.home_of(page_of(GuestPhys(at.value() + bytes.size() - 1))) == layout_.self);
  write_content(at, bytes);
}

void SharedNodeClient::send(NodeId to, FabricKind kind, std::span<const uint8_t> payload) {
  CHECK(to.value() < layout_.nodes.size() && payload.size() <= kFabricPayloadMax);
  const FabricHeader header{static_cast<uint16_t>(kind), to.value(), 0, static_cast<uint32_t>(payload.size())};
  const std::span head(reinterpret_cast<const uint8_t*>(&header), sizeof header);
  switch (fabric_out_.push(head, payload, milliseconds(control_.header().send_limit_ms))) {
    case RecordRing::Push::Done: return;
    case RecordRing::Push::Full: throw HostError("fabric ring to the agent stays full", ETIMEDOUT);
    case RecordRing::Push::Broken: throw HostError("fabric ring to the agent is broken", EPROTO);
  }
}

std::optional<FabricMessage> SharedNodeClient::receive(int limit_ms) {
  std::optional<FabricMessage> message;
  const auto take = [&](std::span<const uint8_t> record) {
    FabricHeader header{};
    if (record.size() < sizeof header) return;
    std::memcpy(&header, record.data(), sizeof header);
    if (header.bytes != record.size() - sizeof header || header.peer >= layout_.nodes.size()) return;
    const auto payload = record.subspan(sizeof header);
    message = FabricMessage{static_cast<FabricKind>(header.kind), NodeId(header.peer), {payload.begin(), payload.end()}};
  };
  const int64_t deadline = monotonic_ns() + int64_t{limit_ms} * 1'000'000;
  for (;;) {
    switch (fabric_in_.try_pop(take)) {
      case RecordRing::Pop::Got:
        if (message) return message;
        continue;
      case RecordRing::Pop::Broken: throw HostError("fabric ring from the agent is broken", EPROTO);
      case RecordRing::Pop::Empty: break;
    }
    const int64_t left = deadline - monotonic_ns();
    if (left <= 0) return std::nullopt;
    const auto still_empty = [&] { return fabric_in_.empty(); };
    wait_doorbell(control_.header().client_doorbell, still_empty, nanoseconds(left));
  }
}

void SharedNodeClient::record(PageId page, const FaultInfo& info, int64_t since_ns) {
  const int64_t now = monotonic_ns();
  const auto wait = static_cast<uint64_t>(now - since_ns);
  FetchTime fetch(control_.header().fetch_ns.load(std::memory_order_relaxed));
  fetch.add(now - since_ns);  // two threads at once lose one measurement
  control_.header().fetch_ns.store(fetch.estimate_ns(), std::memory_order_relaxed);
  (info.access == Access::Write ? faults_write_ : faults_read_).fetch_add(1, std::memory_order_relaxed);
  fault_wait_ns_.fetch_add(wait, std::memory_order_relaxed);
  const uint64_t number = control_.header().fault_sequence.fetch_add(1, std::memory_order_relaxed);
  SharedFaultRecord& r = control_.fault_records()[number & (control_.fault_records().size() - 1)];
  r.sequence_begin.store(number + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);  // partner: FaultLog::read in the agent
  r.monotonic_ns = now;
  r.address = info.address;
  r.rip = info.rip;
  r.mm = info.mm.value();
  r.wait_ns = wait;
  r.page = page.value();
  r.vcpu = info.vcpu.value();
  r.write = info.access == Access::Write;
  r.user = info.user;
  r.sequence_end.store(number + 1, std::memory_order_release);
}

NodeClient::Stats SharedNodeClient::stats() const {
  return {faults_local_.load(std::memory_order_relaxed), faults_read_.load(std::memory_order_relaxed),
          faults_write_.load(std::memory_order_relaxed), fault_wait_ns_.load(std::memory_order_relaxed)};
}

}  // namespace pando::dsm
