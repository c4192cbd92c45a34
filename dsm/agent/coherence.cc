// SPDX-License-Identifier: Apache-2.0
#include "dsm/agent/coherence.h"

#include <pthread.h>
#include <sys/prctl.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "dsm/agent/responsive.h"
#include "dsm/agent/sha256.h"
#include "dsm/shm/hold_window.h"

namespace pando::dsm {

namespace {

constexpr Epoch kEpoch{1};            // one incarnation per agent process: another start has another cluster id
constexpr uint16_t kBusyMax = 16384;  // pages with something under way, per node
constexpr size_t kStartedSlots = 1 << 14;
constexpr int kAnswersTogether = 8;  // messages handled before what they led to leaves
constexpr std::chrono::milliseconds kFreshGrace{10};  // a granted page waits so long for the thread that asked for it
constexpr std::chrono::seconds kLockLimit{1};
constexpr int64_t kHoldMaxNs = 200'000'000;  // whatever a client may write into the install times
constexpr uint32_t kAsked = PageWord::kAskedRead | PageWord::kAskedWrite;
constexpr uint32_t kMappings = PageWord::kMapped | PageWord::kWritable | PageWord::kElsewhere;

CoreConfig core_config(const NodeConfig& config, const ClusterPlan& plan) {
  CoreConfig c;
  c.self = config.self;
  c.nodes = static_cast<uint8_t>(plan.nodes.size());
  c.epoch = kEpoch;
  c.exclusive_grants = config.switches.exclusive_grants;
  c.migratory = config.switches.migratory;
  c.close_at_home = config.switches.close_at_home;
  return c;
}

PageRange pages_of(const SharedNodeRange& range) {
  return {page_of(GuestPhys(range.start)), static_cast<uint32_t>(range.bytes >> kPageShift)};
}

std::vector<PageRange> all_ranges(const ClusterPlan& plan) {
  std::vector<PageRange> ranges;
  for (const PlannedNode& n : plan.nodes) ranges.push_back(pages_of(n.range));
  return ranges;
}

bool is_zero(const uint8_t* bytes) { return bytes[0] == 0 && std::memcmp(bytes, bytes + 1, kPageSize - 1) == 0; }

uint32_t stamp_of(int64_t ns) { return static_cast<uint32_t>(ns >> kInstallTimeShift); }

}  // namespace

Coherence::Coherence(const NodeConfig& config, const ClusterPlan& plan, GuestMemory& memory,
                     const ControlMemory& control, PeerMesh& mesh, Watcher& watcher, TraceRing& trace)
    : switches_(config.switches), self_(config.self), cache_pages_(config.cache_pages),
      control_(control), mesh_(mesh), watcher_(watcher), trace_(trace), homed_(pages_of(plan.nodes[config.self.value()].range)),
      cache_(core_config(config, plan), all_ranges(plan), kBusyMax),
      home_(core_config(config, plan), homed_, kBusyMax), run_(memory, control, *this), request_started_(kStartedSlots),
      home_started_(kStartedSlots), is_listed_(control.page_count()),
      streams_(config.switches.prefetch_pages, config.switches.runs ? PageRun::kPagesMax : 1), timer_([this] { run_timer(); }) {
  pthread_setname_np(timer_.native_handle(), "hold-timer");
}

Coherence::~Coherence() { stop(); }

void Coherence::stop() {
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
    timer_wake_.notify_all();
  }
  if (timer_.joinable()) timer_.join();
}

void Coherence::share_everywhere(PageId first, uint32_t pages) {
  const std::lock_guard guard(mutex_);
  preloaded_.emplace_back(first.value(), pages);
  for (uint32_t i = 0; i < pages; ++i) {
    const PageId page(first.value() + i);
    cache_.share_everywhere(page);
    if (homed_.has(page)) home_.share_everywhere(page);
    in_run(page, 1, [&] {
      note_held(page);
      run_.bits(page) = PageWord::with_right(run_.bits(page), Right::Read);
    });
  }
}

std::string Coherence::preload_digest() {
  const std::lock_guard guard(mutex_);
  Sha256 digest;
  for (const auto& [first, pages] : preloaded_) digest.add(std::to_string(first) + "+" + std::to_string(pages) + ",");
  return digest.hex();
}

bool Coherence::is_waiting(const Waiting& w) const {
  const CacheTransaction* t = cache_.transaction(w.page);
  return t && t->request == w.request;
}

std::optional<Coherence::Overdue> Coherence::overdue(std::chrono::nanoseconds limit) {
  const std::lock_guard guard(mutex_);
  while (!waiting_.empty() && !is_waiting(waiting_.front())) waiting_.pop_front();
  if (waiting_.empty() || monotonic_now_ns() - waiting_.front().since_ns < limit.count()) return std::nullopt;
  const PageId page = waiting_.front().page;
  return Overdue{page, cache_.home_of(page)};
}

PageView Coherence::view(PageId page) {
  const std::lock_guard guard(mutex_);
  PageView v;
  if (!cache_.has(page)) return v;
  v.cache = cache_.entry(page);
  if (!homed_.has(page)) return v;
  v.home = home_.entry(page);
  v.home_busy = home_.transaction(page) != nullptr;
  return v;
}

// --- entries

void Coherence::fetch(std::span<const Fetch> fetches) {
  uint64_t touched = 0;
  {
    const std::lock_guard guard(mutex_);
    for (const Fetch& f : fetches) {
      const bool write = f.access == Access::Write;
      if (begin_access(f.page, write ? Right::Write : Right::Read))
        ++(write ? metrics_.requests_write : metrics_.requests_read);
      if (!write) read_ahead(f.page);
    }
    settle();
    touched = std::exchange(touched_, 0);
  }
  kick(touched);
}

void Coherence::read_on(PageId page) {
  uint64_t touched = 0;
  {
    const std::lock_guard guard(mutex_);
    read_ahead(page);
    touched = std::exchange(touched_, 0);
  }
  kick(touched);
}

// Answers leave together, but none waits for a long run behind it, nor for many others.
void Coherence::receive(NodeId from, const v1::PeerFrame& frame) {
  uint64_t touched = 0;
  int unsent = 0;
  for (const v1::PageMessage& wire : frame.pages()) {
    if (unsent >= kAnswersTogether || wire.count() > 1 || !switches_.runs) {
      kick(std::exchange(touched, 0));
      unsent = 0;
    }
    const std::lock_guard guard(mutex_);
    if (!receive_run(from, wire)) return;
    touched |= std::exchange(touched_, 0);
    ++unsent;
  }
  kick(touched);
}

bool Coherence::receive_run(NodeId from, const v1::PageMessage& wire) {
  if (stopping_) return false;
  const std::optional<WireRun> run = read_message(wire, kEpoch);
  if (run && cache_.has(PageId(run->first.page.value() + run->count - 1))) {
    handle_run(from, *run);
  } else {
    Message m;
    m.type = static_cast<MessageType>(wire.type());
    m.page = PageId(wire.page());
    check(StepResult::error("malformed page message"), from, m);
  }
  settle();
  return true;
}

// --- steps

template <class F>
void Coherence::in_run(PageId first, uint32_t count, F f) {
  run_.begin(first, count);
  try {
    f();
  } catch (...) {
    run_.abandon();
    throw;
  }
  run_.end();
}

std::chrono::nanoseconds Coherence::lock_limit() {
  // One lock that does not come back is enough to give the client up: no waiting for further ones.
  return client_broken_ ? std::chrono::nanoseconds(0) : kLockLimit;
}

void Coherence::on_lock_forced() {
  if (!std::exchange(client_broken_, true))
    watcher_.on_client_broken("the VMM does not give back the lock of a page");
}

// Pages do not interact in the core, so the order of steps for different pages is free: first the messages of the run,
// then what this node's two sides say to each other about it, under the same lock words.
void Coherence::handle_run(NodeId from, const WireRun& run) {
  in_run(run.first.page, run.count, [&] {
    if (run.count > 1 && run.first.type == MessageType::GetS) freeze_for_readers(run);
    Message m = run.first;
    for (uint32_t i = 0; i < run.count; ++i) {
      m.page = PageId(run.first.page.value() + i);
      m.request = RequestId(run.first.request.value() + i);
      trace_.page_message(v1::TRACE_PAGE_RECEIVED, from, m);
      handle(from, m, {run.content ? run.content + size_t{i} * kPageSize : nullptr});
    }
    handle_self_messages();
  });
}

void Coherence::handle_self_messages() {
  while (!self_queue_.empty() && run_.has(self_queue_.front().page)) {
    const Message m = self_queue_.front();
    self_queue_.pop_front();
    handle(self_, m, {});
  }
}

// What the steps of these reads would do page by page: take writable mappings away, read the content.  A hint like any
// unmapping: rights stay as they are until the core says otherwise.
void Coherence::freeze_for_readers(const WireRun& run) {
  const int64_t begun = monotonic_now_ns();
  uint64_t wanted = 0;
  for (uint32_t i = 0; i < run.count; ++i) {
    const PageId page(run.first.page.value() + i);
    if (!homed_.has(page)) continue;
    const DirectoryEntry& entry = home_.entry(page);
    const bool here = entry.owned_by_memory() || entry.is_owner(self_);
    if (!here || (cache_.entry(page).held && hold_left_ns(page) > 0)) continue;
    if (run_.bits(page) & PageWord::kPresent) wanted |= uint64_t{1} << i;
  }
  if (wanted == 0) return;
  run_.freeze(wanted);
  note_revoked(run.first.page, begun);
}

void Coherence::handle(NodeId from, const Message& m, const Incoming& incoming) {
  const int64_t begun = monotonic_now_ns();
  actions_.clear();
  was_reading_ = cache_.entry(m.page).state == CacheState::IS_D;
  if (is_for_home(m.type)) {
    if (m.type == MessageType::GetS || m.type == MessageType::GetM)
      home_started_[m.page.value() % kStartedSlots] = {m.page.value(), begun};
    // What this run has changed is not in the word yet.
    const uint32_t bits = run_.has(m.page) ? run_.bits(m.page) : control_.word(m.page).peek();
    const bool never_written = homed_.has(m.page) && !(bits & PageWord::kPresent);
    const HomeHint hint{.never_written = never_written, .many = run_.count() > 1};
    check(home_.step(from, m, hint, actions_), from, m);
    const Started& s = home_started_[m.page.value() % kStartedSlots];
    if (m.type == MessageType::Done && s.key == m.page.value())
      metrics_.home.add(static_cast<uint64_t>(begun - s.at_ns));
  } else {
    if (m.requester == self_ && (m.type == MessageType::Data || m.type == MessageType::Grant)) {
      const Started& s = request_started_[m.request.value() % kStartedSlots];
      if (s.key == m.request.value()) metrics_.answer.add(static_cast<uint64_t>(begun - s.at_ns));
    }
    if (m.type == MessageType::Inv || m.type == MessageType::FwdM || m.type == MessageType::FwdS) hold_again(m.page);
    check(cache_.receive(from, m, actions_), from, m);
  }
  execute(m.page, m, incoming);
  const bool asks = m.type == MessageType::GetS || m.type == MessageType::GetM || m.type == MessageType::FwdS ||
                    m.type == MessageType::FwdM;
  if (m.type == MessageType::Data || asks)
    (asks ? metrics_.serve : metrics_.install).add(static_cast<uint64_t>(monotonic_now_ns() - begun));
}

void Coherence::check(const StepResult& result, NodeId from, const Message& m) {
  switch (result.outcome) {
    case Outcome::StaleEpoch: ++metrics_.stale_epoch; break;
    case Outcome::Overload: ++metrics_.overload; [[fallthrough]];
    case Outcome::ProtocolError:
      ++metrics_.protocol_errors;
      spdlog::error("protocol_error from={} type={} page={:#x} requester={} why=\"{}\"", from.value(), name_of(m.type),
                    m.page.value(), m.requester.value(), result.reason);
      watcher_.on_peer_broken(from, std::string("it sent a ") + name_of(m.type) + " that cannot be: " + result.reason);
      break;
    default: break;
  }
}

void Coherence::execute(PageId page, const Message& m, const Incoming& incoming) {
  was_clean_ = false;
  const auto all = [&] {
    for (const Action& action : actions_) carry_out(page, action, m, incoming);
  };
  if (run_.has(page)) all();
  else if (!actions_.empty()) in_run(page, 1, all);
}

void Coherence::carry_out(PageId page, const Action& action, const Message& m, const Incoming& incoming) {
  switch (action.type) {
    case ActionType::Send: send(page, action); break;
    case ActionType::Fill: put_content(page, incoming, m.content); break;
    case ActionType::Raise: {
      raise(page, action.right);
      const Started& s = request_started_[m.request.value() % kStartedSlots];
      if (s.key != m.request.value()) break;
      const int64_t took = monotonic_now_ns() - s.at_ns;
      metrics_.request.add(static_cast<uint64_t>(took));
      trace_.page_span(v1::TRACE_GRANTED, page, took);
      break;
    }
    case ActionType::Downgrade: downgrade(page); break;
    case ActionType::Zap:
      ++metrics_.invalidations;
      if (run_.bits(page) & PageWord::kPresent) {
        const int64_t begun = monotonic_now_ns();
        run_.discard(page);
        note_revoked(page, begun);
      }
      lose_right(page);
      break;
    case ActionType::Keep: keep(page); break;
    case ActionType::DropKept: kept_.erase(page.value()); break;
    case ActionType::StoreMemory:
      if (PageWord::right_of(run_.bits(page)) == Right::None) put_content(page, incoming, m.content);
      break;
    case ActionType::StartHold: break;  // measured from the install time, when somebody wants the page: see settle()
    case ActionType::Parked:
      ++metrics_.parked;
      parked_.push_back(page);
      break;
    case ActionType::Wake: run_.bits(page) &= ~kAsked; break;
  }
}

void Coherence::note_revoked(PageId page, int64_t begun_ns) {
  const int64_t took = monotonic_now_ns() - begun_ns;
  metrics_.revoke.add(static_cast<uint64_t>(took));
  trace_.page_span(v1::TRACE_REVOKED, page, took);
}

void Coherence::settle() {
  for (;;) {
    if (!self_queue_.empty()) {
      const Message m = self_queue_.front();
      self_queue_.pop_front();
      handle(self_, m, {});
    } else if (!parked_.empty()) {
      const PageId page = parked_.back();
      parked_.pop_back();
      const int64_t at = expire_hold(page);
      if (at == 0) continue;
      due_.push({at, page});
      timer_wake_.notify_all();
    } else if (cache_pages_ != 0 && foreign_held_ > cache_pages_) {
      const size_t before = self_queue_.size();
      evict_over_limit();
      if (self_queue_.size() == before) return;
    } else {
      return;
    }
  }
}

void Coherence::kick(uint64_t touched) {
  for (; touched != 0; touched &= touched - 1) {
    const int bit = std::countr_zero(touched);
    mesh_.kick(NodeId(static_cast<uint8_t>(bit / kPeerStreams)), static_cast<PeerStream>(bit % kPeerStreams));
  }
}

// --- sending

void Coherence::send(PageId page, const Action& action) {
  if (action.to == self_) {
    CHECK(action.payload == Payload::None);
    self_queue_.push_back(action.message);
    const bool closes = action.message.type == MessageType::Done && action.message.requester != self_;
    if (closes) self_queue_.back().clean = was_clean_;
    return;
  }
  Message m = action.message;
  const uint8_t* content = nullptr;
  switch (action.payload) {
    case Payload::None: break;
    case Payload::Copy:
      content = read_content(page);
      break;
    case Payload::Move:
      was_clean_ = PageWord::right_of(run_.bits(page)) == Right::Write && (run_.bits(page) & PageWord::kClean);
      content = take_content(page);
      break;
    case Payload::Kept: {
      const auto it = kept_.find(page.value());
      CHECK(it != kept_.end());
      if (!it->second.zero) content = it->second.bytes.data();
      break;
    }
  }
  if (action.payload != Payload::None) {
    m.content = content && !is_zero(content) ? Content::Bytes : Content::Zero;
    m.clean = was_clean_;
    ++metrics_.pages_out;
  }
  send_peer(action.to, m, m.content == Content::Bytes ? content : nullptr);
}

void Coherence::send_peer(NodeId to, const Message& m, const uint8_t* content) {
  trace_.page_message(v1::TRACE_PAGE_SENT, to, m);
  const bool bulk = stream_of(m) == Stream::Bulk;
  const PeerStream stream = bulk ? PeerStream::Bulk : PeerStream::Control;
  const Joining joining = switches_.runs ? joining_ : Joining::Refused;
  const bool sent = mesh_.add(to, stream, 64 + (content ? kPageSize : 0), [&](v1::PeerFrame& frame) {
    append_message(frame, m, content, joining);
  });
  if (!sent) watcher_.on_peer_broken(to, "it does not take messages any more");
  touched_ |= uint64_t{1} << (to.value() * kPeerStreams + static_cast<int>(stream));
}

// --- pages

void Coherence::put_content(PageId page, const Incoming& incoming, Content content) {
  uint32_t& bits = run_.bits(page);
  if (content == Content::Bytes) {
    run_.write(page, incoming.bytes);
    bits |= PageWord::kPresent;
    ++metrics_.pages_in;
  } else if (content == Content::Zero) {
    if (bits & PageWord::kPresent) run_.discard(page);
    bits &= ~PageWord::kPresent;
    ++metrics_.zero_in;
  }
}

void Coherence::raise(PageId page, Right right) {
  note_held(page);
  uint32_t& bits = run_.bits(page);
  bits = PageWord::with_right(bits, right) & ~PageWord::kClean;
  if (right == Right::Write && was_reading_) bits |= PageWord::kClean;
  if (bits & kAsked) bits |= PageWord::kFresh;
  control_.install_time(page).store(stamp_of(monotonic_now_ns()), std::memory_order_relaxed);
}

// Before the page's right is raised: one more page of another node is held here.
void Coherence::note_held(PageId page) {
  if (PageWord::right_of(run_.bits(page)) != Right::None || !is_foreign(page)) return;
  ++foreign_held_;
  if (cache_pages_ == 0 || is_listed_[page.value()]) return;
  is_listed_[page.value()] = true;
  foreign_pages_.push_back(page);
}

void Coherence::lose_right(PageId page) {
  uint32_t& bits = run_.bits(page);
  if (PageWord::right_of(bits) != Right::None && is_foreign(page)) --foreign_held_;
  bits = PageWord::with_right(bits, Right::None) &
         ~(kMappings | PageWord::kPresent | PageWord::kClean | PageWord::kFresh | PageWord::kAhead);
}

// The page becomes a hole.  nullptr: it was never written, there is no content.
const uint8_t* Coherence::take_content(PageId page) {
  const int64_t begun = monotonic_now_ns();
  const uint32_t bits = run_.bits(page);
  const uint8_t* content = nullptr;
  if ((bits & PageWord::kPresent) && (bits & PageWord::kWritable)) {
    content = run_.take(page);
  } else if (bits & PageWord::kPresent) {  // nobody can be writing it: the content can be read before the page goes
    content = run_.read(page);
    run_.discard(page);
  }
  lose_right(page);
  note_revoked(page, begun);
  return content;
}

const uint8_t* Coherence::read_content(PageId page) {
  return run_.bits(page) & PageWord::kPresent ? run_.read(page) : nullptr;
}

void Coherence::downgrade(PageId page) {
  uint32_t& bits = run_.bits(page);
  ++metrics_.downgrades;
  was_clean_ = bits & PageWord::kClean;
  if ((bits & PageWord::kPresent) && (bits & PageWord::kWritable)) {
    const int64_t begun = monotonic_now_ns();
    run_.write(page, run_.take(page));
    bits &= ~kMappings;
    note_revoked(page, begun);
  }
  bits = PageWord::with_right(bits, Right::Read) & ~PageWord::kClean;
}

void Coherence::keep(PageId page) {
  ++metrics_.evictions;
  was_clean_ = run_.bits(page) & PageWord::kClean;
  Kept& kept = kept_[page.value()];
  const uint8_t* const content = take_content(page);
  kept.zero = content == nullptr;
  if (content) std::memcpy(kept.bytes.data(), content, kPageSize);
}

// --- requests of this node

RequestId Coherence::next_request() {
  if (++request_ == 0) ++request_;
  return RequestId(request_);
}

// True if a request went out.
bool Coherence::begin_access(PageId page, Right right) {
  actions_.clear();
  was_reading_ = false;
  const RequestId request = next_request();
  const StepResult result = cache_.access(page, right, request, actions_);
  switch (result.outcome) {
    case Outcome::Started:
      request_started_[request.value() % kStartedSlots] = {request.value(), monotonic_now_ns()};
      while (!waiting_.empty() && !is_waiting(waiting_.front())) waiting_.pop_front();
      waiting_.push_back({page, request, monotonic_now_ns()});
      execute(page, {}, {});
      return true;
    case Outcome::Overload: ++metrics_.overload; [[fallthrough]];
    case Outcome::Hit: {
      // The right came between the fault and its request, or the thread must ask again.
      in_run(page, 1, [&] { run_.bits(page) &= ~kAsked; });
      return false;
    }
    default: return false;
  }
}

// A thread that reads page after page gets the next ones asked for ahead.
void Coherence::read_ahead(PageId page) {
  if (switches_.prefetch_pages == 0 || !is_foreign(page)) return;
  const ReadStreams::Ahead ahead = streams_.on_read(page.value());
  if (cache_pages_ != 0 && ahead.count > cache_pages_ / 8) return;
  for (uint32_t done = 0; done < ahead.count; done += ahead.run) {
    // A run is not joined to what somebody waits for already: that would wait for all of it.
    joining_ = Joining::Refused;
    const bool all = ask_ahead(ahead.first + done, ahead.run);
    joining_ = Joining::Allowed;
    if (!all) return;
  }
}

// False: the pages belong to another home from some page on.
bool Coherence::ask_ahead(uint32_t first, uint32_t count) {
  bool marked = false;
  for (uint32_t p = first; p < first + count; ++p) {
    const PageId page(p);
    if (!cache_.has(page) || !is_foreign(page) || cache_.home_of(page) != cache_.home_of(PageId(first))) return false;
    if (cache_.entry(page).state != CacheState::I || !begin_access(page, Right::Read)) continue;
    joining_ = Joining::Allowed;
    ++metrics_.prefetches;
    if (!std::exchange(marked, true)) in_run(page, 1, [&] { run_.bits(page) |= PageWord::kAhead; });
  }
  return true;
}

void Coherence::evict_over_limit() {
  const size_t tries = std::min<size_t>(foreign_pages_.size(), 16);
  for (size_t i = 0; i < tries && foreign_held_ > cache_pages_; ++i) {
    const PageId page = foreign_pages_.front();
    foreign_pages_.pop_front();
    is_listed_[page.value()] = false;
    if (PageWord::right_of(control_.word(page).peek()) == Right::None) continue;
    if (cache_.entry(page).held) (void)expire_hold(page);
    actions_.clear();
    const StepResult result = cache_.evict(page, next_request(), actions_);
    execute(page, {}, {});
    if (result.outcome == Outcome::Kept || result.outcome == Outcome::Overload) {
      is_listed_[page.value()] = true;
      foreign_pages_.push_back(page);
    }
  }
}

// --- holds

// How long the page is still to be kept here; not positive: the hold is over.
int64_t Coherence::hold_left_ns(PageId page) const {
  const auto since = static_cast<int32_t>(stamp_of(monotonic_now_ns()) -
                                          control_.install_time(page).load(std::memory_order_relaxed));
  const int64_t elapsed = int64_t{since} * (int64_t{1} << kInstallTimeShift);
  // A stamp far in the future is none: the page was never stamped, or so long ago that the stamp has wrapped.
  if (elapsed < -kHoldMaxNs) return 0;
  const int64_t window = hold_window_ns(control_.header(), 0);
  if (!(control_.word(page).peek() & PageWord::kFresh)) return std::min(window - elapsed, kHoldMaxNs);
  // Its thread has not mapped it yet: look again after a usual hold, but not for ever.
  return std::min(std::chrono::nanoseconds(kFreshGrace).count() - elapsed, window);
}

// The client may have begun a new hold of a page whose last one was ended.
void Coherence::hold_again(PageId page) {
  if (cache_.entry(page).held || right_of(cache_.entry(page).state) == Right::None || hold_left_ns(page) <= 0) return;
  actions_.clear();
  (void)cache_.hold(page, actions_);
  actions_.clear();
}

int64_t Coherence::expire_hold(PageId page) {
  const int64_t left = hold_left_ns(page);
  if (left > 0) return monotonic_now_ns() + left;
  actions_.clear();
  was_reading_ = false;
  CHECK(cache_.hold_expired(page, actions_).ok());
  execute(page, {}, {});
  return 0;
}

void Coherence::run_timer() try {
  prctl(PR_SET_TIMERSLACK, 1);
  if (switches_.realtime) make_thread_responsive();
  serve_timer();
} catch (const std::exception& e) {
  watcher_.on_host_failure(e.what());
}

void Coherence::serve_timer() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (due_.empty()) {
      timer_wake_.wait(lock);
      continue;
    }
    const Due next = due_.top();
    const int64_t left = next.at_ns - monotonic_now_ns();
    if (left > 0) {
      timer_wake_.wait_for(lock, std::chrono::nanoseconds(left));
      continue;
    }
    due_.pop();
    const int64_t again = expire_hold(next.page);
    if (again != 0) due_.push({again, next.page});
    settle();
    const uint64_t touched = std::exchange(touched_, 0);
    lock.unlock();
    kick(touched);
    lock.lock();
  }
}

}  // namespace pando::dsm
