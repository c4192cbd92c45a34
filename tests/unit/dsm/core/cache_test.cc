// SPDX-License-Identifier: Apache-2.0
#include "dsm/core/cache.h"

#include <string>

#include "tests/catch.h"
#include "tests/unit/dsm/core/words.h"

namespace pando::dsm {
namespace {

using enum CacheState;
using test::words;

constexpr NodeId kHome{0};
constexpr NodeId kSelf{1};
constexpr NodeId kOther{2};
constexpr PageId kPage{40};
constexpr RequestId kOwn{9};
constexpr RequestId kTheirs{77};

bool has_copy(CacheState s) {
  return right_of(s) != Right::None;
}
bool is_evicting(CacheState s) {
  return s == MI_A || s == OI_A;
}
bool is_transient(CacheState s) {
  return s >= IS_D;
}

// One page on node 1 of 4; node 0 is the home.
struct Page {
  CoreConfig config{.self = kSelf, .nodes = 4, .epoch = Epoch(3)};
  CachePage where{kPage, kHome};
  CacheEntry entry;
  CacheTransaction txn;
  ActionList out;

  explicit Page(CacheState state) {
    entry.state = state;
    if (has_copy(state) || is_evicting(state)) entry.version = Version(5);
    if (is_transient(state)) txn.request = kOwn;
  }
  StepResult step(const CacheEvent& event) {
    out.clear();
    return cache_step(config, where, entry, txn, event, out);
  }
  StepResult local(CacheEventType type) { return step({type, NodeId(), RequestId(10), Message{}}); }
  StepResult receive(NodeId from, const Message& m) {
    return step({CacheEventType::Receive, from, RequestId(), m});
  }
  // "end state: actions", or "-" for a protocol error.
  std::string text(const StepResult& r) const {
    if (!r.ok()) return "-";
    return std::string(name_of(entry.state)) + ": " + words(out);
  }
};

// A message as a correct peer would send it in the course of another node's request (Inv, Fwd) or
// of our own.
Message message(MessageType type) {
  Message m;
  m.type = type;
  m.page = kPage;
  m.epoch = Epoch(3);
  m.version = Version(6);
  const bool theirs =
      type == MessageType::Inv || type == MessageType::FwdS || type == MessageType::FwdM;
  m.requester = theirs ? kOther : kSelf;
  m.request = theirs ? kTheirs : kOwn;
  if (type == MessageType::FwdM) m.acks = 1;
  return m;
}

Message data(Right right, int acks) {
  Message m = message(MessageType::Data);
  m.right = right;
  m.acks = static_cast<uint8_t>(acks);
  m.content = Content::Bytes;
  return m;
}

struct LocalRow {
  CacheState state;
  CacheEventType event;
  Outcome outcome;
  const char* result;
};

TEST_CASE("cache: local events: every state answers as the table says") {
  using enum CacheEventType;
  const LocalRow rows[] = {
      {I, Read, Outcome::Started, "IS_D: GetS>0"},
      {I, Write, Outcome::Started, "IM_AD: GetM>0"},
      {I, Evict, Outcome::Kept, "I: "},
      {S, Read, Outcome::Hit, "S: "},
      {S, Write, Outcome::Started, "SM_A: GetM>0"},
      {S, Evict, Outcome::Ok, "I: Zap"},
      {O, Read, Outcome::Hit, "O: "},
      {O, Write, Outcome::Started, "OM_A: GetM>0"},
      {O, Evict, Outcome::Started, "OI_A: Keep, Put>0 kept"},
      {M, Read, Outcome::Hit, "M: "},
      {M, Write, Outcome::Hit, "M: "},
      {M, Evict, Outcome::Started, "MI_A: Keep, Put>0 kept"},
      {IS_D, Read, Outcome::Waiting, "IS_D: "},
      {IS_D, Write, Outcome::Waiting, "IS_D: "},
      {IS_D, Evict, Outcome::Kept, "IS_D: "},
      {IM_AD, Read, Outcome::Waiting, "IM_AD: "},
      {IM_AD, Write, Outcome::Waiting, "IM_AD: "},
      {IM_AD, Evict, Outcome::Kept, "IM_AD: "},
      {SM_A, Read, Outcome::Hit, "SM_A: "},
      {SM_A, Write, Outcome::Waiting, "SM_A: "},
      {SM_A, Evict, Outcome::Kept, "SM_A: "},
      {OM_A, Read, Outcome::Hit, "OM_A: "},
      {OM_A, Write, Outcome::Waiting, "OM_A: "},
      {OM_A, Evict, Outcome::Kept, "OM_A: "},
      {MI_A, Read, Outcome::Waiting, "MI_A: "},
      {MI_A, Write, Outcome::Waiting, "MI_A: "},
      {MI_A, Evict, Outcome::Kept, "MI_A: "},
      {OI_A, Read, Outcome::Waiting, "OI_A: "},
      {OI_A, Write, Outcome::Waiting, "OI_A: "},
      {OI_A, Evict, Outcome::Kept, "OI_A: "},
      {II_A, Read, Outcome::Waiting, "II_A: "},
      {II_A, Write, Outcome::Waiting, "II_A: "},
      {II_A, Evict, Outcome::Kept, "II_A: "},
      {S, Hold, Outcome::Ok, "S: StartHold"},
      {M, Hold, Outcome::Ok, "M: StartHold"},
      {I, Hold, Outcome::Kept, "I: "},
      {IS_D, Hold, Outcome::Kept, "IS_D: "},
      {M, HoldExpired, Outcome::Ok, "M: "},
  };
  for (const LocalRow& row : rows) {
    Page page(row.state);
    CAPTURE(name_of(row.state), static_cast<int>(row.event));
    const StepResult r = page.local(row.event);
    CHECK(r.outcome == row.outcome);
    CHECK(page.text(r) == row.result);
  }
}

struct MatrixRow {
  CacheState state;
  const char* inv;
  const char* fwd_s;
  const char* fwd_m;
  const char* data;   // with the right to write; no InvAck to wait for
  const char* grant;  // likewise
  const char* inv_ack;
  const char* put_ack;
};

#define INSTALLED "M: Fill, Raise write, StartHold, Wake, Done>0"
#define UPGRADED "M: Raise write, StartHold, Wake, Done>0"
constexpr MatrixRow kMatrix[] = {
    {I, "I: InvAck>2", "-", "-", "-", "-", "-", "-"},
    {S, "I: Zap, InvAck>2", "-", "-", "-", "-", "-", "-"},
    {O, "I: Zap, InvAck>2", "O: Data>2 S copy", "I: Data>2 M move acks=1", "-", "-", "-", "-"},
    {M, "-", "O: Downgrade, Data>2 S copy", "I: Data>2 M move acks=1", "-", "-", "-", "-"},
    {IS_D, "IS_D: InvAck>2", "-", "-", INSTALLED, "-", "-", "-"},
    {IM_AD, "IM_AD: InvAck>2", "-", "-", INSTALLED, "-", "IM_AD: ", "-"},
    {SM_A, "IM_AD: Zap, InvAck>2", "-", "-", "-", UPGRADED, "SM_A: ", "-"},
    {OM_A, "IM_AD: Zap, InvAck>2", "OM_A: Data>2 S copy", "IM_AD: Data>2 M move acks=1", "-",
     UPGRADED, "OM_A: ", "-"},
    {MI_A, "-", "OI_A: Data>2 S kept", "II_A: Data>2 M kept acks=1, DropKept", "-", "-", "-",
     "I: DropKept, Wake"},
    {OI_A, "II_A: DropKept, InvAck>2", "OI_A: Data>2 S kept",
     "II_A: Data>2 M kept acks=1, DropKept", "-", "-", "-", "I: DropKept, Wake"},
    {II_A, "II_A: InvAck>2", "-", "-", "-", "-", "-", "I: Wake"},
};
#undef INSTALLED
#undef UPGRADED

TEST_CASE("cache: messages: every state meets every message as the table says") {
  for (const MatrixRow& row : kMatrix) {
    const auto expect = [&](NodeId from, const Message& m, const char* result) {
      Page page(row.state);
      const CacheEntry before = page.entry;
      CAPTURE(name_of(row.state), name_of(m.type));
      const StepResult r = page.receive(from, m);
      CHECK(page.text(r) == result);
      if (!r.ok()) {
        CHECK(page.entry == before);
        CHECK(page.out.empty());
      }
    };
    expect(kHome, message(MessageType::Inv), row.inv);
    expect(kHome, message(MessageType::FwdS), row.fwd_s);
    expect(kHome, message(MessageType::FwdM), row.fwd_m);
    expect(kOther, data(Right::Write, 0), row.data);
    expect(kHome, message(MessageType::Grant), row.grant);
    expect(kOther, message(MessageType::InvAck), row.inv_ack);
    expect(kHome, message(MessageType::PutAck), row.put_ack);
    for (MessageType t :
         {MessageType::GetS, MessageType::GetM, MessageType::Put, MessageType::Done})
      expect(kOther, message(t), "-");
  }
}

TEST_CASE("cache: read: shared data installs a read copy") {
  Page page(IS_D);
  CHECK(page.text(page.receive(kOther, data(Right::Read, 0))) ==
        "S: Fill, Raise read, StartHold, Wake, Done>0");
  CHECK(page.entry.version == Version(6));
  CHECK(page.entry.held);
  CHECK(page.txn.idle());
}

TEST_CASE("cache: write: data and acknowledgements may come in any order") {
  SECTION("data first") {
    Page page(IM_AD);
    CHECK(page.text(page.receive(kHome, data(Right::Write, 2))) == "IM_AD: Fill");
    CHECK(page.text(page.receive(kOther, message(MessageType::InvAck))) == "IM_AD: ");
    CHECK(page.text(page.receive(NodeId(3), message(MessageType::InvAck))) ==
          "M: Raise write, StartHold, Wake, Done>0");
  }
  SECTION("acknowledgements first") {
    Page page(IM_AD);
    page.receive(kOther, message(MessageType::InvAck));
    page.receive(NodeId(3), message(MessageType::InvAck));
    CHECK(page.text(page.receive(kHome, data(Right::Write, 2))) ==
          "M: Fill, Raise write, StartHold, Wake, Done>0");
  }
}

TEST_CASE("cache: acknowledgements: one that nobody waits for is refused") {
  Page page(IM_AD);
  page.receive(kHome, data(Right::Write, 2));
  CHECK(page.receive(kOther, message(MessageType::InvAck)).ok());
  CHECK_FALSE(page.receive(kOther, message(MessageType::InvAck)).ok());  // twice
  CHECK_FALSE(page.receive(kSelf, message(MessageType::InvAck)).ok());
  CHECK_FALSE(page.receive(NodeId(4), message(MessageType::InvAck)).ok());  // no such node
  Page late(IM_AD);
  late.receive(kOther, message(MessageType::InvAck));
  late.receive(NodeId(3), message(MessageType::InvAck));
  CHECK_FALSE(late.receive(kHome, data(Right::Write, 1)).ok());  // more than announced
}

TEST_CASE("cache: exclusive grant: clean is reported to the home") {
  Page page(IS_D);
  Message m = data(Right::Write, 0);
  m.clean = true;
  page.receive(kOther, m);
  REQUIRE(page.out.size() == 5);
  CHECK(page.out[4].message.type == MessageType::Done);
  CHECK(page.out[4].message.clean);
}

TEST_CASE("cache: own home: content that is in place comes from the own home alone") {
  Page page(IS_D);
  Message m = data(Right::Read, 0);
  m.content = Content::InPlace;
  CHECK_FALSE(page.receive(kOther, m).ok());
  page.where.home = kSelf;
  CHECK(page.receive(kSelf, m).ok());
}

TEST_CASE("cache: closed: a request that the home has closed ends without a Done") {
  const auto closed = [](Message m) {
    m.closed = true;
    return m;
  };
  Page read(IS_D);
  CHECK(read.text(read.receive(kHome, closed(data(Right::Read, 0)))) ==
        "S: Fill, Raise read, StartHold, Wake");
  Page write(IM_AD);
  CHECK(write.text(write.receive(kHome, closed(data(Right::Write, 1)))) == "IM_AD: Fill");
  CHECK(write.text(write.receive(kHome, message(MessageType::InvAck))) ==
        "M: Raise write, StartHold, Wake");
  Page upgrade(SM_A);
  CHECK(upgrade.text(upgrade.receive(kHome, closed(message(MessageType::Grant)))) ==
        "M: Raise write, StartHold, Wake");
  CHECK(upgrade.txn.idle());
  upgrade.entry.state = S;  // the next request is not closed by the last one's mark
  upgrade.local(CacheEventType::Write);
  Message grant = message(MessageType::Grant);
  grant.request = RequestId(10);
  CHECK(upgrade.text(upgrade.receive(kHome, grant)) == "M: Raise write, StartHold, Wake, Done>0");
}

TEST_CASE("cache: closed: the home's own cache ends it in the requester's name") {
  struct Row {
    CacheState state;
    MessageType message;
    const char* result;
  };
  const Row rows[] = {
      {M, MessageType::FwdS, "O: Downgrade, Data>2 S copy closed, Done>1"},
      {O, MessageType::FwdS, "O: Data>2 S copy closed, Done>1"},
      {M, MessageType::FwdM, "I: Data>2 M move closed, Done>1"},
      {OM_A, MessageType::FwdM, "IM_AD: Data>2 M move closed, Done>1"},
      {S, MessageType::Inv, "I: Zap, InvAck>2, Done>1"},
      {SM_A, MessageType::Inv, "IM_AD: Zap, InvAck>2, Done>1"},
  };
  for (const Row& row : rows) {
    for (const bool held : {false, true}) {
      Page page(row.state);
      page.where.home = kSelf;
      page.entry.held = held;
      Message m = message(row.message);
      m.closed = true;
      m.acks = 0;
      CAPTURE(name_of(row.state), name_of(row.message), held);
      StepResult r = page.receive(kSelf, m);
      if (held && page.txn.parked != 0) r = page.local(CacheEventType::HoldExpired);
      CHECK(page.text(r) == row.result);
      const Message& done = page.out[page.out.size() - 1].message;
      CHECK(done.requester == kOther);
      CHECK(done.request == kTheirs);
    }
  }
}

TEST_CASE("cache: own home: the home's pages are never evicted") {
  for (CacheState s : {S, O, M}) {
    Page page(s);
    page.where.home = kSelf;
    CHECK(page.local(CacheEventType::Evict).outcome == Outcome::Kept);
    CHECK(page.entry.state == s);
  }
}

TEST_CASE("cache: hold: what would take the page away waits for the end of the hold") {
  struct Row {
    CacheState state;
    MessageType message;
    const char* parked;
    const char* after;
  };
  const Row rows[] = {
      {S, MessageType::Inv, "S: Parked Inv", "I: Zap, InvAck>2"},
      {O, MessageType::Inv, "O: Parked Inv", "I: Zap, InvAck>2"},
      {O, MessageType::FwdM, "O: Parked FwdM", "I: Data>2 M move acks=1"},
      {M, MessageType::FwdM, "M: Parked FwdM", "I: Data>2 M move acks=1"},
      {M, MessageType::FwdS, "M: Parked FwdS", "O: Downgrade, Data>2 S copy"},
      {SM_A, MessageType::Inv, "SM_A: Parked Inv", "IM_AD: Zap, InvAck>2"},
      {OM_A, MessageType::Inv, "OM_A: Parked Inv", "IM_AD: Zap, InvAck>2"},
      {OM_A, MessageType::FwdM, "OM_A: Parked FwdM", "IM_AD: Data>2 M move acks=1"},
      {O, MessageType::FwdS, "O: Data>2 S copy", "O: "},  // takes nothing away
  };
  for (const Row& row : rows) {
    Page page(row.state);
    page.entry.held = true;
    CAPTURE(name_of(row.state), name_of(row.message));
    CHECK(page.text(page.receive(kHome, message(row.message))) == row.parked);
    CHECK(page.local(CacheEventType::Evict).outcome == Outcome::Kept);
    CHECK(page.text(page.local(CacheEventType::HoldExpired)) == row.after);
    CHECK_FALSE(page.entry.held);
    CHECK(page.txn.parked == 0);
  }
}

TEST_CASE("cache: hold: readers wait together, anything else alone") {
  Page page(M);
  page.entry.held = true;
  Message third = message(MessageType::FwdS);
  third.requester = NodeId(3);
  CHECK(page.receive(kHome, message(MessageType::FwdS)).ok());
  CHECK_FALSE(page.receive(kHome, message(MessageType::FwdS)).ok());  // the same reader twice
  CHECK_FALSE(page.receive(kHome, message(MessageType::FwdM)).ok());
  CHECK(page.receive(kHome, third).ok());
  CHECK(page.text(page.local(CacheEventType::HoldExpired)) ==
        "O: Downgrade, Data>2 S copy, Data>3 S copy");
}

TEST_CASE("cache: hostile peer: a message that cannot be is refused and changes nothing") {
  struct Row {
    CacheState state;
    NodeId from;
    Message message;
  };
  const auto with = [](Message m, auto change) {
    change(m);
    return m;
  };
  const Message inv = message(MessageType::Inv);
  const Message fwd = message(MessageType::FwdM);
  const Message write = data(Right::Write, 0);
  const Row rows[] = {
      {S, kOther, inv},                                                    // not from the home
      {S, NodeId(200), inv},                                               // from nobody
      {S, kHome, with(inv, [](Message& m) { m.requester = kSelf; })},      // for ourselves
      {S, kHome, with(inv, [](Message& m) { m.requester = NodeId(9); })},  // for nobody
      {S, kHome, with(inv, [](Message& m) { m.request = RequestId(0); })},
      {S, kHome, with(inv, [](Message& m) { m.page = PageId(41); })},
      {S, kHome, with(inv, [](Message& m) { m.closed = true; })},  // this node is not the home
      {IM_AD, kOther, with(write, [](Message& m) { m.closed = true; })},
      {M, kHome, with(fwd, [](Message& m) { m.acks = 4; })},
      {M, kHome, with(fwd, [](Message& m) { m.version = kNoCopy; })},
      {IM_AD, kOther, with(write, [](Message& m) { m.request = RequestId(8); })},
      {IM_AD, kOther, with(write, [](Message& m) { m.requester = kOther; })},
      {IM_AD, kOther, with(write, [](Message& m) { m.content = Content::None; })},
      {IM_AD, kOther, with(write, [](Message& m) { m.version = kNoCopy; })},
      {IM_AD, kOther, with(write, [](Message& m) { m.acks = 200; })},
      {IM_AD, kOther, data(Right::Read, 0)},
      {IS_D, kOther, data(Right::None, 0)},
      {IS_D, kOther, data(Right::Read, 1)},
      {SM_A, kOther, message(MessageType::Grant)},
      {SM_A, kHome, with(message(MessageType::Grant), [](Message& m) { m.acks = 4; })},
      {MI_A, kOther, message(MessageType::PutAck)},
      {S, kHome, with(inv, [](Message& m) { m.type = static_cast<MessageType>(99); })},
  };
  for (const Row& row : rows) {
    Page page(row.state);
    const CacheEntry before = page.entry;
    CAPTURE(&row - rows);
    CHECK(page.receive(row.from, row.message).outcome == Outcome::ProtocolError);
    CHECK(page.entry == before);
    CHECK(page.out.empty());
  }
}

TEST_CASE("cache: epoch: a message of another incarnation is dropped") {
  Page page(S);
  Message m = message(MessageType::Inv);
  m.epoch = Epoch(2);
  CHECK(page.receive(kHome, m).outcome == Outcome::StaleEpoch);
  CHECK(page.entry.state == S);
}

TEST_CASE("cache: start: the home owns its pages, image pages are shared") {
  CHECK(initial_cache_entry(kHome, kHome).state == M);
  CHECK(initial_cache_entry(kSelf, kHome).state == I);
  CHECK(initial_shared_cache_entry().state == S);
  CHECK(initial_shared_cache_entry().version == initial_shared_entry(4).version);
}

}  // namespace
}  // namespace pando::dsm
