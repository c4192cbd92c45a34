// SPDX-License-Identifier: Apache-2.0
#include "dsm/shm/record_ring.h"

#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "tests/catch.h"

using namespace pando::dsm;

namespace {

struct Memory {
  alignas(64) SharedRingIndex index{};
  alignas(64) uint8_t data[1024] = {};
  Doorbell bell{};
  RecordRing ring{&index, data, sizeof data, &bell};
};

std::span<const uint8_t> bytes(const std::vector<uint8_t>& v) { return v; }

std::vector<uint8_t> pop(RecordRing& ring) {
  std::vector<uint8_t> got;
  REQUIRE(ring.try_pop([&](std::span<const uint8_t> r) { got.assign(r.begin(), r.end()); }) == RecordRing::Pop::Got);
  return got;
}

}  // namespace

TEST_CASE("record ring: records of any length: come out whole, in order, across the end of the ring") {
  auto m = std::make_unique<Memory>();
  for (uint8_t round = 0; round < 200; ++round) {
    const std::vector<uint8_t> head(3, round), body(round % 100, static_cast<uint8_t>(round + 1));
    REQUIRE(m->ring.try_push(bytes(head), bytes(body)) == RecordRing::Push::Done);
    std::vector<uint8_t> expected = head;
    expected.insert(expected.end(), body.begin(), body.end());
    REQUIRE(pop(m->ring) == expected);
  }
  CHECK(m->ring.empty());
}

TEST_CASE("record ring: no space left: push says so and what is there survives") {
  auto m = std::make_unique<Memory>();
  const std::vector<uint8_t> record(200, 7);
  int pushed = 0;
  while (m->ring.try_push(bytes(record), {}) == RecordRing::Push::Done) ++pushed;
  CHECK(pushed == 4);  // 4 x 208 of 1024 bytes
  for (int i = 0; i < pushed; ++i) CHECK(pop(m->ring) == record);
  CHECK(m->ring.try_push(bytes(record), {}) == RecordRing::Push::Done);
}

TEST_CASE("record ring: an overwritten header: the consumer says Broken and never reads outside") {
  auto m = std::make_unique<Memory>();
  const uint64_t header = GENERATE(uint64_t{0xffffffffffffffff}, (uint64_t{2000} << 2) | 1, (uint64_t{300} << 2) | 1,
                                   (uint64_t{8} << 2) | 3);
  std::memcpy(m->data, &header, sizeof header);
  const auto ignore = [](std::span<const uint8_t>) { FAIL("a record that was never pushed"); };
  CHECK(m->ring.try_pop(ignore) == RecordRing::Pop::Broken);
  CHECK(m->ring.try_pop(ignore) == RecordRing::Pop::Broken);
}

TEST_CASE("record ring: an overwritten index: the producer says Broken") {
  auto m = std::make_unique<Memory>();
  m->index.reserved = 5000;
  CHECK(m->ring.try_push({}, {}) == RecordRing::Push::Broken);
}

TEST_CASE("record ring: several producers: every record arrives exactly once, each producer's in order") {
  auto m = std::make_unique<Memory>();
  constexpr uint32_t kProducers = 4, kEach = 3000;
  std::vector<std::thread> producers;
  for (uint32_t p = 0; p < kProducers; ++p)
    producers.emplace_back([&, p] {
      RecordRing mine{&m->index, m->data, sizeof m->data, &m->bell};
      for (uint32_t i = 0; i < kEach; ++i) {
        const uint32_t record[2] = {p, i};
        REQUIRE(mine.push({reinterpret_cast<const uint8_t*>(record), sizeof record}, {}, std::chrono::seconds(20)) ==
                RecordRing::Push::Done);
      }
    });
  std::vector<uint32_t> next(kProducers, 0);
  for (uint32_t got = 0; got < kProducers * kEach;) {
    const auto result = m->ring.try_pop([&](std::span<const uint8_t> r) {
      uint32_t record[2];
      REQUIRE(r.size() == sizeof record);
      std::memcpy(record, r.data(), sizeof record);
      REQUIRE(record[1] == next.at(record[0])++);
      ++got;
    });
    if (result == RecordRing::Pop::Empty)
      wait_doorbell(m->bell, [&] { return m->ring.empty(); }, std::chrono::seconds(5));
  }
  for (std::thread& t : producers) t.join();
}
