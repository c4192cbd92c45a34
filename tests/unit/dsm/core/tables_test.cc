// SPDX-License-Identifier: Apache-2.0
#include "dsm/core/tables.h"

#include <random>

#include "tests/catch.h"

namespace pando::dsm {
namespace {

CoreConfig config_of(int self) {
  return {.self = NodeId(static_cast<uint8_t>(self)), .nodes = 3, .epoch = Epoch(1)};
}

const std::vector<PageRange> kRanges{{PageId(0), 10}, {PageId(10), 20}, {PageId(30), 5}};

Message get(MessageType type, int node, uint32_t page) {
  Message m;
  m.type = type;
  m.requester = NodeId(static_cast<uint8_t>(node));
  m.page = PageId(page);
  m.request = RequestId(1 + page);
  m.epoch = Epoch(1);
  return m;
}

TEST_CASE("tables: layout: each page has its home, and the home owns it at the start") {
  const CacheTable cache(config_of(1), kRanges, 8);
  CHECK(cache.home_of(PageId(9)) == NodeId(0));
  CHECK(cache.home_of(PageId(10)) == NodeId(1));
  CHECK(cache.home_of(PageId(34)) == NodeId(2));
  CHECK_FALSE(cache.has(PageId(35)));
  CHECK(cache.entry(PageId(9)).state == CacheState::I);
  CHECK(cache.entry(PageId(10)).state == CacheState::M);
  CHECK(cache.entry(PageId(29)).state == CacheState::M);
  const DirectoryTable directory(config_of(1), kRanges[1], 8);
  CHECK(directory.entry(PageId(10)).is_owner(NodeId(1)));
}

TEST_CASE("tables: image pages: shared everywhere, no request needed") {
  CacheTable cache(config_of(1), kRanges, 8);
  ActionList out;
  cache.share_everywhere(PageId(3));
  CHECK(cache.access(PageId(3), Right::Read, RequestId(1), out).outcome == Outcome::Hit);
  DirectoryTable directory(config_of(0), kRanges[0], 8);
  directory.share_everywhere(PageId(3));
  CHECK(directory.entry(PageId(3)).sharers == NodeSet::all(3));
  CHECK(directory.entry(PageId(3)).owned_by_memory());
}

TEST_CASE("tables: bounds: a page outside is an error of the peer") {
  CacheTable cache(config_of(1), kRanges, 8);
  DirectoryTable directory(config_of(1), kRanges[1], 8);
  ActionList out;
  CHECK_FALSE(cache.receive(NodeId(0), get(MessageType::Inv, 2, 35), out).ok());
  CHECK_FALSE(cache.receive(NodeId(0), get(MessageType::Inv, 2, 0xffffffff), out).ok());
  CHECK_FALSE(
      directory.step(NodeId(2), get(MessageType::GetS, 2, 9), HomeHint{}, out).ok());
  CHECK_FALSE(
      directory.step(NodeId(2), get(MessageType::GetS, 2, 30), HomeHint{}, out).ok());
}

TEST_CASE("tables: side records: taken while busy, given back after") {
  CacheTable cache(config_of(1), kRanges, 2);
  ActionList out;
  CHECK(cache.access(PageId(0), Right::Read, RequestId(1), out).outcome == Outcome::Started);
  CHECK(cache.access(PageId(1), Right::Read, RequestId(2), out).outcome == Outcome::Started);
  CHECK(cache.busy() == 2);
  CHECK(cache.access(PageId(2), Right::Read, RequestId(3), out).outcome == Outcome::Overload);
  CHECK(cache.entry(PageId(2)).state == CacheState::I);
  // What peers ask is served all the same.
  out.clear();
  CHECK(cache.receive(NodeId(0), get(MessageType::Inv, 2, 5), out).outcome == Outcome::Ok);
  CHECK(out.size() == 1);

  Message data = get(MessageType::Data, 1, 0);
  data.request = RequestId(1);
  data.right = Right::Read;
  data.content = Content::Zero;
  data.version = Version(2);
  CHECK(cache.receive(NodeId(0), data, out).outcome == Outcome::Ok);
  CHECK(cache.busy() == 1);
  CHECK(cache.transaction(PageId(0)) == nullptr);
  CHECK(cache.transaction(PageId(1)) != nullptr);
  CHECK(cache.hold_expired(PageId(0), out).outcome == Outcome::Ok);
}

TEST_CASE("tables: overload: the home refuses what it cannot track") {
  DirectoryTable directory(config_of(0), kRanges[0], 1);
  ActionList out;
  CHECK(directory.step(NodeId(1), get(MessageType::GetS, 1, 0), HomeHint{}, out).ok());
  CHECK(directory.step(NodeId(1), get(MessageType::GetS, 1, 1), HomeHint{}, out).outcome ==
        Outcome::Overload);
  CHECK(directory.entry(PageId(1)).is_owner(NodeId(0)));
  CHECK(directory.step(NodeId(2), get(MessageType::GetS, 2, 0), HomeHint{}, out).ok());
}

// Any bytes from a peer: an outcome, never a crash, and nothing grows without bound.
TEST_CASE("tables: hostile peer: random messages are survived") {
  std::mt19937 random(20);
  const auto pick = [&](uint32_t below) { return random() % below; };
  CacheTable cache(config_of(1), kRanges, 16);
  DirectoryTable directory(config_of(1), kRanges[1], 16);
  int refused = 0;
  int accepted = 0;
  for (int i = 0; i < 300'000; ++i) {
    Message m;
    m.type = static_cast<MessageType>(pick(14));
    m.requester = NodeId(static_cast<uint8_t>(pick(5)));
    m.acks = static_cast<uint8_t>(pick(20) == 0 ? 255 : pick(3));
    m.right = static_cast<Right>(pick(3));
    m.content = static_cast<Content>(pick(4));
    m.clean = pick(2) == 0;
    m.page = PageId(pick(38));
    m.request = RequestId(pick(4));
    m.epoch = Epoch(1);
    m.version = Version(pick(4));
    const NodeId from(static_cast<uint8_t>(pick(4)));
    ActionList out;
    const StepResult r = is_for_home(m.type)
                             ? directory.step(from, m, HomeHint{.never_written = true}, out)
                             : cache.receive(from, m, out);
    if (!r.ok()) CHECK(out.empty());
    (r.ok() ? accepted : refused)++;
    out.clear();
    const PageId page(pick(35));
    switch (pick(4)) {
      case 0:
        cache.access(page, Right::Read, RequestId(1 + pick(3)), out);
        break;
      case 1:
        cache.access(page, Right::Write, RequestId(1 + pick(3)), out);
        break;
      case 2:
        cache.evict(page, RequestId(1 + pick(3)), out);
        break;
      default:
        cache.hold_expired(page, out);
    }
  }
  CHECK(refused > 1000);
  CHECK(accepted > 1000);
  CHECK(directory.busy() <= 16);
  CHECK(cache.busy() <= 35);
}

}  // namespace
}  // namespace pando::dsm
