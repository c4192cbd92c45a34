// SPDX-License-Identifier: Apache-2.0
#include "dsm/agent/page_run.h"

#include <sys/mman.h>

#include <vector>

#include "base/mapping.h"
#include "tests/catch.h"

using namespace pando;
using namespace pando::dsm;

namespace {

constexpr uint32_t kPages = 256;

struct Node final : PageRun::LockWatcher {
  std::chrono::nanoseconds lock_limit() override { return std::chrono::milliseconds(5); }
  void on_lock_forced() override { ++forced; }
  uint8_t* at(uint32_t page) { return map.data() + size_t{page} * kPageSize; }
  PageWord& word(uint32_t page) { return control.word(PageId(page)); }
  void fill(uint32_t page, uint8_t with, uint32_t more_bits = 0) {
    const std::vector<uint8_t> bytes(kPageSize, with);
    memory.write(PageId(page), 1, bytes.data());
    word(page).initialise(PageWord::with_right(PageWord::kPresent | more_bits, Right::Write));
  }
  bool locked(uint32_t page) { return word(page).peek() & PageWord::kLocked; }

  SharedNodeRange range{0, kPages * kPageSize};
  uint8_t distance = 10;
  std::string name = "n0";
  GuestMemory memory{kPages * kPageSize};
  ControlMemory control = ControlMemory::create(
      {.nodes = {&range, 1}, .vcpu_node = {}, .distances = {&distance, 1}, .node_names = {&name, 1}});
  PageRun run{memory, control, *this};
  Mapping map = Mapping::shared_file(memory.fd(), kPages * kPageSize, PROT_READ | PROT_WRITE);
  int forced = 0;
};

}  // namespace

TEST_CASE("page run: locks are taken when needed and given back at the end, with what was changed") {
  Node n;
  n.run.begin(PageId(3), 4);
  n.run.bits(PageId(4)) = PageWord::kPresent;
  CHECK(n.locked(4));
  CHECK_FALSE(n.locked(5));
  n.run.end();
  CHECK(n.word(4).peek() == PageWord::kPresent);
  CHECK_FALSE(n.run.has(PageId(4)));
}

TEST_CASE("page run: a lock that does not come back: is taken by force and told") {
  Node n;
  uint32_t bits = 0;
  REQUIRE(n.word(8).try_lock(bits));
  n.run.begin(PageId(8), 1);
  (void)n.run.bits(PageId(8));
  n.run.end();
  CHECK(n.forced == 1);
  CHECK_FALSE(n.locked(8));
}

TEST_CASE("page run: writes are put off to the end, adjacent bytes or not") {
  Node n;
  std::vector<uint8_t> bytes(3 * kPageSize), apart(kPageSize, 9);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(1 + i / kPageSize);
  n.run.begin(PageId(0), 64);
  for (uint32_t p = 60; p < 63; ++p) n.run.write(PageId(p), bytes.data() + size_t{p - 60} * kPageSize);
  n.run.write(PageId(63), apart.data());
  CHECK(n.run.read(PageId(61))[5] == 2);
  n.run.end();
  for (uint32_t p = 60; p < 63; ++p) CHECK(n.at(p)[100] == p - 59);
  CHECK(n.at(63)[100] == 9);
}

TEST_CASE("page run: freeze: content is known, writable mappings are gone, rights stay") {
  Node n;
  for (uint32_t p = 10; p < 74; ++p) n.fill(p, static_cast<uint8_t>(p), p % 3 ? PageWord::kMapped | PageWord::kWritable : 0);
  n.run.begin(PageId(10), 64);
  n.run.freeze(~uint64_t{0} & ~(uint64_t{1} << 7));
  for (uint32_t p = 10; p < 74; ++p) {
    CHECK(n.run.read(PageId(p))[9] == p);
    CHECK(PageWord::right_of(n.run.bits(PageId(p))) == Right::Write);
    CHECK(static_cast<bool>(n.run.bits(PageId(p)) & PageWord::kWritable) == (p == 17));
  }
  n.run.end();
  for (uint32_t p = 10; p < 74; ++p) CHECK(n.at(p)[4095] == p);
}

TEST_CASE("page run: discard after read, write after discard: the last one counts") {
  Node n;
  n.fill(1, 11);
  n.fill(2, 22, PageWord::kMapped | PageWord::kWritable);
  n.fill(3, 33);
  const std::vector<uint8_t> bytes(kPageSize, 44);
  n.run.begin(PageId(0), 8);
  const uint8_t* const one = n.run.read(PageId(1));
  n.run.discard(PageId(1));
  const uint8_t* const two = n.run.take(PageId(2));
  n.run.write(PageId(2), two);
  n.run.discard(PageId(3));
  n.run.write(PageId(3), bytes.data());
  CHECK(one[0] == 11);
  CHECK(two[0] == 22);
  n.run.end();
  CHECK(n.at(1)[0] == 0);
  CHECK(n.at(2)[0] == 22);
  CHECK(n.at(3)[0] == 44);
}
