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

// The page's lock word for the time of one step's actions; taken when an action first needs it.
struct Coherence::Held {
  Held(Coherence& c, PageId p) : page(p), word(c.control_.word(p)), engine(c) {}
  ~Held() {
    if (locked_) word.unlock(bits_);
  }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  uint32_t& bits() {
    if (!locked_) {
      bool forced = false;
      // One lock that does not come back is enough to give the client up: no waiting for further ones.
      bits_ = word.lock_within(engine.client_broken_ ? std::chrono::nanoseconds(0) : kLockLimit, forced);
      locked_ = true;
      if (forced && !std::exchange(engine.client_broken_, true))
        engine.watcher_.on_client_broken("the VMM does not give back the lock of a page");
    }
    return bits_;
  }
  PageId page;
  PageWord& word;
  Coherence& engine;

 private:
  bool locked_ = false;
  uint32_t bits_ = 0;
};

Coherence::Coherence(const NodeConfig& config, const ClusterPlan& plan, GuestMemory& memory,
                     const ControlMemory& control, PeerMesh& mesh, Watcher& watcher, TraceRing& trace)
    : switches_(config.switches), self_(config.self), cache_pages_(config.cache_pages), memory_(memory),
      control_(control), mesh_(mesh), watcher_(watcher), trace_(trace), homed_(pages_of(plan.nodes[config.self.value()].range)),
      cache_(core_config(config, plan), all_ranges(plan), kBusyMax),
      home_(core_config(config, plan), homed_, kBusyMax), request_started_(kStartedSlots),
      home_started_(kStartedSlots), is_listed_(control.page_count()), timer_([this] { run_timer(); }) {
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
    Held held(*this, page);
    note_held(held);
    held.bits() = PageWord::with_right(held.bits(), Right::Read);
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

void Coherence::fetch(PageId page, Access access) {
  uint64_t touched = 0;
  {
    const std::lock_guard guard(mutex_);
    if (begin_access(page, access == Access::Write ? Right::Write : Right::Read)) {
      ++(access == Access::Write ? metrics_.requests_write : metrics_.requests_read);
    }
    if (access == Access::Read) follow_stream(page);
    settle();
    touched = std::exchange(touched_, 0);
  }
  kick(touched);
}

void Coherence::receive(NodeId from, const v1::PageMessage& wire) {
  Message m;
  m.type = static_cast<MessageType>(wire.type());
  m.requester = NodeId(static_cast<uint8_t>(std::min(wire.requester(), 255u)));
  m.acks = static_cast<uint8_t>(std::min(wire.acks(), 255u));
  m.right = static_cast<Right>(std::min(wire.right(), 255u));
  m.content = static_cast<Content>(std::min(wire.content(), 255u));
  m.clean = wire.clean();
  m.page = PageId(wire.page());
  m.request = RequestId(wire.request());
  m.epoch = kEpoch;
  m.version = Version(wire.version());
  const bool has_bytes = m.content == Content::Bytes;
  const bool sound = wire.type() >= 1 && wire.type() < kMessageTypes && wire.right() <= 2 && wire.content() <= 3 &&
                     wire.data().size() == (has_bytes ? kPageSize : 0) && cache_.has(m.page);
  uint64_t touched = 0;
  {
    const std::lock_guard guard(mutex_);
    if (stopping_) return;
    if (sound) {
      trace_.page_message(v1::TRACE_PAGE_RECEIVED, from, m);
      handle(from, m, {has_bytes ? reinterpret_cast<const uint8_t*>(wire.data().data()) : nullptr});
    } else {
      check(StepResult::error("malformed page message"), from, m);
    }
    settle();
    touched = std::exchange(touched_, 0);
  }
  kick(touched);
}

// --- steps

void Coherence::handle(NodeId from, const Message& m, const Incoming& incoming) {
  const int64_t begun = monotonic_now_ns();
  actions_.clear();
  was_reading_ = cache_.entry(m.page).state == CacheState::IS_D;
  if (is_for_home(m.type)) {
    if (m.type == MessageType::GetS || m.type == MessageType::GetM)
      home_started_[m.page.value() % kStartedSlots] = {m.page.value(), begun};
    const bool never_written = homed_.has(m.page) && !(control_.word(m.page).peek() & PageWord::kPresent);
    check(home_.step(from, m, never_written ? MemoryHint::NeverWritten : MemoryHint::Unknown, actions_), from, m);
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
  scratch_valid_ = false;
  was_clean_ = false;
  Held held(*this, page);
  for (const Action& action : actions_) carry_out(held, action, m, incoming);
}

void Coherence::carry_out(Held& held, const Action& action, const Message& m, const Incoming& incoming) {
  switch (action.type) {
    case ActionType::Send: send(held, action); break;
    case ActionType::Fill: put_content(held, incoming, m.content); break;
    case ActionType::Raise: {
      raise(held, action.right);
      const Started& s = request_started_[m.request.value() % kStartedSlots];
      if (s.key != m.request.value()) break;
      const int64_t took = monotonic_now_ns() - s.at_ns;
      metrics_.request.add(static_cast<uint64_t>(took));
      trace_.page_span(v1::TRACE_GRANTED, held.page, took);
      break;
    }
    case ActionType::Downgrade: downgrade(held); break;
    case ActionType::Zap:
      ++metrics_.invalidations;
      if (held.bits() & PageWord::kPresent) {
        const int64_t begun = monotonic_now_ns();
        memory_.discard(held.page);
        note_revoked(held.page, begun);
      }
      lose_right(held);
      break;
    case ActionType::Keep: keep(held); break;
    case ActionType::DropKept: kept_.erase(held.page.value()); break;
    case ActionType::StoreMemory:
      if (PageWord::right_of(held.bits()) == Right::None) put_content(held, incoming, m.content);
      break;
    case ActionType::StartHold: break;  // measured from the install time, when somebody wants the page: see settle()
    case ActionType::Parked:
      ++metrics_.parked;
      parked_.push_back(held.page);
      break;
    case ActionType::Wake: held.bits() &= ~kAsked; break;
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

void Coherence::send(Held& held, const Action& action) {
  if (action.to == self_) {
    CHECK(action.payload == Payload::None);
    self_queue_.push_back(action.message);
    return;
  }
  Message m = action.message;
  const uint8_t* content = nullptr;
  switch (action.payload) {
    case Payload::None: break;
    case Payload::Copy:
      if (read_content(held)) content = scratch_.data();
      break;
    case Payload::Move:
      was_clean_ = PageWord::right_of(held.bits()) == Right::Write && (held.bits() & PageWord::kClean);
      if (take_content(held, scratch_.data())) content = scratch_.data();
      break;
    case Payload::Kept: {
      const auto it = kept_.find(held.page.value());
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
  const bool bulk = stream_of(m.type) == Stream::Bulk;
  const PeerStream stream = bulk ? PeerStream::Bulk : PeerStream::Control;
  const bool sent = mesh_.add(to, stream, 64 + (content ? kPageSize : 0), [&](v1::PeerFrame& frame) {
    v1::PageMessage& w = *frame.add_pages();
    w.set_type(static_cast<uint32_t>(m.type));
    w.set_page(m.page.value());
    w.set_request(m.request.value());
    w.set_version(m.version.value());
    w.set_requester(m.requester.value());
    w.set_acks(m.acks);
    w.set_right(static_cast<uint32_t>(m.right));
    w.set_content(static_cast<uint32_t>(m.content));
    w.set_clean(m.clean);
    if (content) w.set_data(content, kPageSize);
  });
  if (!sent) watcher_.on_peer_broken(to, "it does not take messages any more");
  touched_ |= uint64_t{1} << (to.value() * kPeerStreams + static_cast<int>(stream));
}

// --- pages

void Coherence::put_content(Held& held, const Incoming& incoming, Content content) {
  uint32_t& bits = held.bits();
  if (content == Content::Bytes) {
    memory_.write(held.page, incoming.bytes);
    bits |= PageWord::kPresent;
    ++metrics_.pages_in;
  } else if (content == Content::Zero) {
    if (bits & PageWord::kPresent) memory_.discard(held.page);
    bits &= ~PageWord::kPresent;
    ++metrics_.zero_in;
  }
}

void Coherence::raise(Held& held, Right right) {
  note_held(held);
  uint32_t& bits = held.bits();
  bits = PageWord::with_right(bits, right) & ~PageWord::kClean;
  if (right == Right::Write && was_reading_) bits |= PageWord::kClean;
  if (bits & kAsked) bits |= PageWord::kFresh;
  control_.install_time(held.page).store(stamp_of(monotonic_now_ns()), std::memory_order_relaxed);
}

// Before the page's right is raised: one more page of another node is held here.
void Coherence::note_held(Held& held) {
  if (PageWord::right_of(held.bits()) != Right::None || !is_foreign(held.page)) return;
  ++foreign_held_;
  if (cache_pages_ == 0 || is_listed_[held.page.value()]) return;
  is_listed_[held.page.value()] = true;
  foreign_pages_.push_back(held.page);
}

void Coherence::lose_right(Held& held) {
  uint32_t& bits = held.bits();
  if (PageWord::right_of(bits) != Right::None && is_foreign(held.page)) --foreign_held_;
  bits = PageWord::with_right(bits, Right::None) &
         ~(kMappings | PageWord::kPresent | PageWord::kClean | PageWord::kFresh);
}

// The page becomes a hole.  False: it was never written, there is no content.
bool Coherence::take_content(Held& held, uint8_t* to) {
  const int64_t begun = monotonic_now_ns();
  const uint32_t bits = held.bits();
  const bool present = bits & PageWord::kPresent;
  if (present && (bits & PageWord::kWritable)) {
    memory_.take(held.page, to);
  } else if (present) {  // nobody can be writing it: the content can be read before the page goes
    memory_.read(held.page, to);
    memory_.discard(held.page);
  }
  lose_right(held);
  note_revoked(held.page, begun);
  return present;
}

bool Coherence::read_content(Held& held) {
  if (!(held.bits() & PageWord::kPresent)) return false;
  if (!scratch_valid_) memory_.read(held.page, scratch_.data());
  scratch_valid_ = true;
  return true;
}

void Coherence::downgrade(Held& held) {
  uint32_t& bits = held.bits();
  ++metrics_.downgrades;
  was_clean_ = bits & PageWord::kClean;
  if ((bits & PageWord::kPresent) && (bits & PageWord::kWritable)) {
    const int64_t begun = monotonic_now_ns();
    memory_.take(held.page, scratch_.data());
    memory_.write(held.page, scratch_.data());
    scratch_valid_ = true;
    bits &= ~kMappings;
    note_revoked(held.page, begun);
  }
  bits = PageWord::with_right(bits, Right::Read) & ~PageWord::kClean;
}

void Coherence::keep(Held& held) {
  ++metrics_.evictions;
  was_clean_ = held.bits() & PageWord::kClean;
  Kept& kept = kept_[held.page.value()];
  kept.zero = !take_content(held, kept.bytes.data());
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
      Held held(*this, page);
      held.bits() &= ~kAsked;
      return false;
    }
    default: return false;
  }
}

// A thread that reads page after page gets the next ones asked for ahead.
void Coherence::follow_stream(PageId page) {
  if (switches_.prefetch_pages == 0 || !is_foreign(page)) return;
  const uint32_t p = page.value();
  ReadStream* stream = nullptr;
  for (ReadStream& s : streams_)
    if (p >= s.next && p < s.ahead + switches_.prefetch_pages && p - s.next <= switches_.prefetch_pages) stream = &s;
  if (!stream) {
    streams_[stream_turn_++ % streams_.size()] = {p + 1, p + 1, 1};
    return;
  }
  stream->next = p + 1;
  stream->ahead = std::max(stream->ahead, p + 1);
  if (++stream->length < 3) return;
  uint32_t depth = std::min(switches_.prefetch_pages, stream->length * 2);
  if (cache_pages_ != 0) depth = static_cast<uint32_t>(std::min<uint64_t>(depth, cache_pages_ / 8));
  const NodeId home = cache_.home_of(page);
  for (; stream->ahead < p + 1 + depth; ++stream->ahead) {
    const PageId next(stream->ahead);
    if (!cache_.has(next) || cache_.home_of(next) != home) break;
    if (cache_.entry(next).state == CacheState::I && begin_access(next, Right::Read)) ++metrics_.prefetches;
  }
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
