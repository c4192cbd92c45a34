// SPDX-License-Identifier: Apache-2.0
#include "dsm/core/home.h"

#include <string>

#include "tests/catch.h"
#include "tests/unit/dsm/core/words.h"

namespace pando::dsm {
namespace {

using enum MessageType;
using test::words;

constexpr uint8_t kMemory = DirectoryEntry::kMemory;

// One page homed on node 0 of 4, in the plain protocol unless a test switches more on.
struct Home {
  CoreConfig config{.self = NodeId(0),
                    .nodes = 4,
                    .epoch = Epoch(3),
                    .exclusive_grants = false,
                    .migratory = false,
                    .serve_readers_together = false,
                    .close_at_home = false};
  DirectoryEntry entry;
  HomeTransaction txn;
  ActionList out;
  HomeHint hint;

  explicit Home(uint8_t owner = kMemory, uint16_t sharers = 0) {
    entry.owner = owner;
    entry.sharers = NodeSet(sharers);
    entry.version = Version(5);
  }
  static Message message(MessageType type, int node, Version version = kNoCopy) {
    Message m;
    m.type = type;
    m.requester = NodeId(static_cast<uint8_t>(node));
    m.request = RequestId(static_cast<uint32_t>(100 + node));
    m.epoch = Epoch(3);
    m.version = version;
    if (type == Put) m.content = Content::Bytes;
    return m;
  }
  StepResult step(NodeId from, const Message& m) {
    out.clear();
    return home_step(config, entry, txn, from, m, hint, out);
  }
  std::string step(MessageType type, int node, Version version = kNoCopy) {
    const StepResult r = step(NodeId(static_cast<uint8_t>(node)), message(type, node, version));
    return r.ok() ? words(out) : "-";
  }
};

struct Row {
  uint8_t owner;
  uint16_t sharers;
  MessageType type;
  int node;
  Version version;
  const char* actions;
  uint8_t owner_after;
  uint16_t sharers_after;
};

TEST_CASE("home: requests: an idle page answers as the table says") {
  const Version none = kNoCopy;
  const Version now{5};
  const Version old{4};
  const Row rows[] = {
      {kMemory, 0b0000, GetS, 1, none, "Data>1 S copy", kMemory, 0b0010},
      {kMemory, 0b0100, GetS, 1, none, "Data>1 S copy", kMemory, 0b0110},
      {kMemory, 0b0100, GetS, 0, none, "Data>0 S in-place", kMemory, 0b0101},
      {2, 0b0000, GetS, 1, none, "FwdS>2", 2, 0b0010},
      {0, 0b0000, GetS, 1, none, "FwdS>0", 0, 0b0010},
      {2, 0b0000, GetS, 2, none, "-", 2, 0b0000},
      {kMemory, 0b0000, GetM, 1, none, "Data>1 M move", 1, 0},
      {kMemory, 0b0000, GetM, 0, none, "Data>0 M in-place", 0, 0},
      {kMemory, 0b1100, GetM, 1, none, "Data>1 M move acks=2, Inv>2, Inv>3", 1, 0},
      {kMemory, 0b0101, GetM, 1, none, "Data>1 M copy acks=2, Inv>0, Inv>2", 1, 0},
      {kMemory, 0b0110, GetM, 1, none, "Data>1 M move acks=1, Inv>2", 1, 0},  // dropped silently
      {kMemory, 0b0110, GetM, 1, now, "Grant>1 acks=1, Inv>2", 1, 0},
      {kMemory, 0b0110, GetM, 1, old, "Data>1 M move acks=1, Inv>2", 1, 0},
      {2, 0b0000, GetM, 1, none, "FwdM>2", 1, 0},
      {2, 0b1000, GetM, 1, none, "FwdM>2 acks=1, Inv>3", 1, 0},
      {2, 0b0010, GetM, 1, now, "Grant>1 acks=1, Inv>2", 1, 0},
      {2, 0b1010, GetM, 1, now, "Grant>1 acks=2, Inv>2, Inv>3", 1, 0},
      {2, 0b0000, GetM, 1, now, "FwdM>2", 1, 0},  // claims a copy it has lost
      {2, 0b0010, GetM, 2, now, "Grant>2 acks=1, Inv>1", 2, 0},
      {2, 0b0000, GetM, 2, none, "-", 2, 0},
      {2, 0b0010, Put, 2, now, "StoreMemory, PutAck>2", kMemory, 0b0010},
      {2, 0b0000, Put, 1, now, "PutAck>1", 2, 0},
      {kMemory, 0b0000, Put, 1, now, "PutAck>1", kMemory, 0},
      {2, 0b0000, Done, 2, now, "-", 2, 0},
  };
  for (const Row& row : rows) {
    Home home(row.owner, row.sharers);
    const DirectoryEntry before = home.entry;
    CAPTURE(&row - rows);
    CHECK(home.step(row.type, row.node, row.version) == row.actions);
    CHECK(home.entry.owner == row.owner_after);
    CHECK(home.entry.sharers.bits() == row.sharers_after);
    const bool granted_write = row.type == GetM && std::string(row.actions) != "-";
    CHECK((home.entry.version == Version(6)) == granted_write);
    if (std::string(row.actions) == "-") CHECK(home.entry == before);
  }
}

TEST_CASE("home: busy: requests wait in order of arrival") {
  Home home(2);
  CHECK(home.step(GetM, 1) == "FwdM>2");
  CHECK(home.step(GetS, 3).empty());
  CHECK(home.step(GetM, 0).empty());
  CHECK(home.txn.queued == 2);
  CHECK(home.step(Done, 1) == "FwdS>1");
  CHECK(home.step(Done, 3) == "FwdM>1 acks=1, Inv>3");
  CHECK(home.step(Done, 0).empty());
  CHECK(home.txn.idle());
}

TEST_CASE("home: busy: a second request of a node for the page is refused") {
  Home home(2);
  home.step(GetM, 1);
  CHECK(home.step(GetS, 1) == "-");  // under way
  home.step(GetS, 3);
  CHECK(home.step(GetM, 3) == "-");  // queued
  CHECK(home.txn.queued == 1);
}

TEST_CASE("home: busy: a Put is served at once") {
  Home home(2);
  CHECK(home.step(GetS, 1) == "FwdS>2");
  CHECK(home.step(Put, 2, Version(5)) == "StoreMemory, PutAck>2");
  CHECK(home.entry.owned_by_memory());
  CHECK(home.step(Done, 1).empty());
}

TEST_CASE("home: busy: only the Done of the transaction ends it") {
  Home home(2);
  home.step(GetM, 1);
  CHECK(home.step(Done, 3) == "-");
  Message other = Home::message(Done, 1);
  other.request = RequestId(555);
  CHECK_FALSE(home.step(NodeId(1), other).ok());
  CHECK(home.step(Done, 1).empty());
}

TEST_CASE("home: readers: served together, writers one by one") {
  Home home(2);
  home.config.serve_readers_together = true;
  CHECK(home.step(GetS, 1) == "FwdS>2");
  CHECK(home.step(GetS, 3) == "FwdS>2");
  CHECK(home.step(GetM, 0).empty());
  CHECK(home.step(Done, 3).empty());
  CHECK(home.step(GetS, 3).empty());  // behind the writer, though only readers are under way
  CHECK(home.step(Done, 1) == "FwdM>2 acks=2, Inv>1, Inv>3");
  CHECK(home.step(Done, 0) == "FwdS>0");
}

TEST_CASE("home: exclusive: a read of a page that nobody shares brings the right to write") {
  Home home;
  home.config.exclusive_grants = true;
  CHECK(home.step(GetS, 1) == "Data>1 M move");
  CHECK(home.entry.is_owner(NodeId(1)));
  CHECK(home.entry.version == Version(6));
}

TEST_CASE("home: exclusive: a page that the home never wrote goes away whole") {
  Home home(0);
  home.config.exclusive_grants = true;
  home.hint.never_written = true;
  CHECK(home.step(GetS, 1) == "FwdM>0");
  Home used(0);
  used.config.exclusive_grants = true;
  CHECK(used.step(GetS, 1) == "FwdS>0");
}

// Home 0 with close_at_home: what it says, and whether it still waits for a Done.
TEST_CASE("home: closing: a request that this node serves alone needs no Done") {
  struct ClosingRow {
    uint8_t owner;
    uint16_t sharers;
    MessageType type;
    Version version;
    const char* actions;
    bool busy;
  };
  const Version none = kNoCopy;
  const Version now{5};
  const ClosingRow rows[] = {
      {kMemory, 0b0000, GetS, none, "Data>1 S copy closed", false},
      {kMemory, 0b0100, GetS, none, "Data>1 S copy closed", false},
      {kMemory, 0b0000, GetM, none, "Data>1 M move closed", false},
      {kMemory, 0b0010, GetM, now, "Grant>1 closed", false},
      // The own cache closes it with a Done in node 1's name.
      {0, 0b0000, GetS, none, "FwdS>0 closed", true},
      {0, 0b0000, GetM, none, "FwdM>0 closed", true},
      {0, 0b0010, GetM, now, "Grant>1 closed acks=1, Inv>0 closed", true},
      {kMemory, 0b0001, GetM, none, "Data>1 M copy closed acks=1, Inv>0 closed", true},
      // Others take part.
      {2, 0b0000, GetS, none, "FwdS>2", true},
      {0, 0b0100, GetM, none, "FwdM>0 acks=1, Inv>2", true},
      {kMemory, 0b0101, GetM, none, "Data>1 M copy acks=2, Inv>0, Inv>2", true},
  };
  for (const ClosingRow& row : rows) {
    Home home(row.owner, row.sharers);
    home.config.close_at_home = true;
    CAPTURE(&row - rows);
    CHECK(home.step(row.type, 1, row.version) == row.actions);
    CHECK(home.txn.idle() == !row.busy);
  }
}

TEST_CASE("home: closing: its own requests, and answers to many, wait for a Done") {
  Home own;
  own.config.close_at_home = true;
  CHECK(own.step(GetM, 0) == "Data>0 M in-place");
  Home many;
  many.config.close_at_home = true;
  many.hint.many = true;
  CHECK(many.step(GetS, 1) == "Data>1 S copy");
  CHECK(many.step(Done, 1).empty());
}

TEST_CASE("home: closing: the next request of a node may be earlier than the own cache's Done") {
  Home home(0);
  home.config.close_at_home = true;
  CHECK(home.step(GetS, 1) == "FwdS>0 closed");
  CHECK(home.step(GetM, 1, Version(5)).empty());  // waits
  CHECK(home.step(GetM, 1, Version(5)) == "-");   // but not two of them
  home.out.clear();
  const Message done = Home::message(Done, 1);
  REQUIRE(home.step(NodeId(0), done).ok());
  CHECK(words(home.out) == "Grant>1 closed acks=1, Inv>0 closed");
  CHECK_FALSE(home.step(NodeId(2), done).ok());  // only the home's own cache speaks for others
}

TEST_CASE("home: migratory: read then write by one node after the other is noticed") {
  Home home(2);
  home.config.migratory = true;
  home.entry.last_writer = 2;
  home.step(GetS, 1);
  home.step(Done, 1);
  home.step(GetM, 1, Version(5));
  home.step(Done, 1);
  REQUIRE(home.entry.migratory);
  CHECK(home.step(GetS, 3) == "FwdM>1");
  SECTION("written: it stays so") {
    home.step(Done, 3);
    CHECK(home.entry.migratory);
  }
  SECTION("returned clean: it was not") {
    Message done = Home::message(Done, 3);
    done.clean = true;
    home.step(NodeId(3), done);
    CHECK_FALSE(home.entry.migratory);
    CHECK(home.step(GetS, 2) == "FwdS>3");
  }
}

TEST_CASE("home: migratory: a second reader before the write speaks against it") {
  Home home(2, 0b1000);
  home.config.migratory = true;
  home.entry.last_writer = 2;
  home.step(GetS, 1);
  home.step(Done, 1);
  home.step(GetM, 1, Version(5));
  CHECK_FALSE(home.entry.migratory);
}

TEST_CASE("home: hostile peer: a message that cannot be is refused and changes nothing") {
  const auto refused = [](NodeId from, Message m) {
    Home home(2);
    const DirectoryEntry before = home.entry;
    const StepResult r = home.step(from, m);
    return r.outcome == Outcome::ProtocolError && home.entry == before && home.out.empty() &&
           home.txn.idle();
  };
  CHECK(refused(NodeId(3), Home::message(GetS, 1)));  // in the name of another
  CHECK(refused(NodeId(9), Home::message(GetS, 9)));  // from nobody
  CHECK(refused(NodeId(1), Home::message(FwdS, 1)));
  CHECK(refused(NodeId(1), Home::message(static_cast<MessageType>(77), 1)));
  CHECK(refused(NodeId(0), Home::message(Put, 0)));  // the home itself
  Message no_id = Home::message(GetS, 1);
  no_id.request = RequestId(0);
  CHECK(refused(NodeId(1), no_id));
  Message empty = Home::message(Put, 2);
  empty.content = Content::None;
  CHECK(refused(NodeId(2), empty));
}

TEST_CASE("home: epoch: a message of another incarnation is dropped") {
  Home home;
  Message m = Home::message(GetS, 1);
  m.epoch = Epoch(4);
  CHECK(home.step(NodeId(1), m).outcome == Outcome::StaleEpoch);
}

TEST_CASE("home: version: wraps past the value that means no copy") {
  Home home;
  home.entry.version = Version(0xffffffff);
  home.step(GetM, 1);
  CHECK(home.entry.version == kFirstVersion);
}

}  // namespace
}  // namespace pando::dsm
