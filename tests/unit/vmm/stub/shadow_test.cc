// SPDX-License-Identifier: Apache-2.0
#include "vmm/stub/shadow.h"

#include <sys/mman.h>
#include <sys/syscall.h>

#include <map>
#include <random>

#include "base/types.h"
#include "tests/catch.h"

namespace pando::stub {
namespace {

constexpr uint64_t kPage = kPageSize;

// Executes commands like the host's mm would.
class Mm {
 public:
  uint32_t take(Shadow& shadow, uint32_t capacity = STUB_COMMANDS_MAX) {
    uint32_t total = 0;
    bool more = true;
    while (more) {
      std::vector<stub_command> commands(capacity);
      std::vector<Shadow::Run> runs;
      const Shadow::Batch batch = shadow.take(commands, runs);
      REQUIRE(batch.commands + 2 * runs.size() <= capacity);
      REQUIRE((!batch.more || batch.commands > 0));
      std::map<uint64_t, int> touched;
      for (uint32_t i = 0; i < batch.commands; i++) execute(commands[i], touched);
      for (const Shadow::Run& run : runs)
        if (run.registered) fill(run, touched);
      total += batch.commands;
      more = batch.more;
    }
    return total;
  }
  std::map<uint64_t, uint64_t> pages;  // va -> gpa | prot
  uint64_t last_drop = 0;              // system call of the last command that dropped everything

 private:
  void fill(const Shadow::Run& run, std::map<uint64_t, int>& touched) {
    for (uint64_t offset = 0; offset < run.bytes; offset += kPage) {
      REQUIRE(++touched[run.va + offset] == 1);
      const uint64_t entry = (run.gpa + offset) | run.prot;
      REQUIRE(mappings_.at(run.va + offset) == entry);
      pages[run.va + offset] = entry;
    }
  }
  void execute(const stub_command& c, std::map<uint64_t, int>& touched) {
    const uint64_t va = c.argument[0], bytes = c.argument[1];
    if (va == 0 && bytes == PANDO_USER_TOP) {
      last_drop = c.number;
      if (c.number == SYS_munmap) mappings_.clear();
      return pages.clear();
    }
    for (uint64_t at = va; at < va + bytes; at += kPage) {
      REQUIRE(++touched[at] == 1);  // one command per page and batch
      switch (c.number) {
        case SYS_mmap: mappings_[at] = pages[at] = (c.argument[5] + at - va) | c.argument[2]; break;
        case SYS_munmap:
          mappings_.erase(at);
          pages.erase(at);
          break;
        case SYS_mprotect:
          REQUIRE(pages.contains(at));
          mappings_[at] = pages[at] = page_floor(pages[at]) | c.argument[2];
          break;
        default: FAIL("command " << c.number);
      }
    }
  }
  std::map<uint64_t, uint64_t> mappings_;
};

TEST_CASE("shadow: neighbouring pages with the same rights: become one mapping") {
  Shadow s;
  Mm mm;
  s.map(0x10000, 0x5000, 2 * kPage, 3);
  s.map(0x12000, 0x7000, kPage, 3);
  s.map(0x13000, 0x8000, kPage, 1);
  CHECK(mm.take(s) == 2);
  CHECK(mm.pages.size() == 4);
  CHECK(mm.pages[0x12000] == (0x7000 | 3));
  CHECK(s.mapped(0x12fff)->gpa == 0x7000);
  CHECK_FALSE(s.mapped(0x14000));
}

TEST_CASE("shadow: what is mapped already: needs no command") {
  Shadow s;
  Mm mm;
  s.map(0x10000, 0x5000, kPage, 3);
  CHECK(mm.take(s) == 1);
  s.map(0x10000, 0x5000, kPage, 3);
  CHECK(mm.take(s) == 0);
}

TEST_CASE("shadow: unmap: revokes only what the stub has") {
  Shadow s;
  Mm mm;
  s.map(0x10000, 0x5000, kPage, 3);
  CHECK(s.unmap(0x10000, kPage) == Shadow::Revokes::No);  // never got there
  CHECK(mm.take(s) == 0);
  s.map(0x10000, 0x5000, kPage, 3);
  mm.take(s);
  CHECK(s.unmap(0, PANDO_USER_TOP) == Shadow::Revokes::Yes);
  CHECK(s.mapped(0x10000));  // until the batch is executed
  CHECK(mm.take(s) == 1);
  CHECK(mm.pages.empty());
  CHECK_FALSE(s.mapped(0x10000));
}

TEST_CASE("shadow: unmap and map before the next run: one command exchanges the page") {
  Shadow s;
  Mm mm;
  s.map(0x10000, 0x5000, kPage, 1);
  mm.take(s);
  CHECK(s.unmap(0x10000, kPage) == Shadow::Revokes::Yes);
  s.map(0x10000, 0x9000, kPage, 3);
  CHECK(mm.take(s) == 1);
  CHECK(mm.pages[0x10000] == (0x9000 | 3));
}

TEST_CASE("shadow: other rights for the same page: a change of protection") {
  Shadow s;
  Mm mm;
  s.map(0x10000, 0x5000, 4 * kPage, 1);
  mm.take(s);
  s.map(0x11000, 0x6000, kPage, 3);
  std::vector<stub_command> commands(STUB_COMMANDS_MAX);
  std::vector<Shadow::Run> runs;
  CHECK(s.take(commands, runs).commands == 1);
  CHECK(commands[0].number == SYS_mprotect);
  CHECK(runs.empty());
}

TEST_CASE("shadow: resync: keeps what is listed, narrows rights, drops the rest") {
  Shadow s;
  Mm mm;
  s.map(0x10000, 0x5000, 4 * kPage, 3);
  mm.take(s);
  const pando_resync_entry list[] = {{0x10000, 0x5000 | 3}, {0x11000, 0x6000 | 1}, {0x12000, 0x9000 | 3}};
  CHECK(s.resync(0, 0x13000, list) == Shadow::Revokes::Yes);
  CHECK(mm.take(s) == 2);
  CHECK(mm.pages[0x10000] == (0x5000 | 3));
  CHECK(mm.pages[0x11000] == (0x6000 | 1));
  CHECK_FALSE(mm.pages.contains(0x12000));            // another page by now
  CHECK(mm.pages[0x13000] == (0x8000 | 3));           // outside of the range
  const pando_resync_entry same[] = {{0x10000, 0x5000 | 7}, {0x11000, 0x6000 | 1}};
  CHECK(s.resync(0, 0x13000, same) == Shadow::Revokes::No);
}

TEST_CASE("shadow: clear: one command for everything, also when more is mapped before the next run") {
  Shadow s;
  Mm mm;
  s.map(0x10000, 0x5000, kPage, 3);
  mm.take(s);
  s.map(0x20000, 0x6000, kPage, 3);
  CHECK(s.clear() == Shadow::Revokes::Yes);
  s.map(0x30000, 0x7000, kPage, 3);
  CHECK(mm.take(s) == 2);
  CHECK(mm.pages.size() == 1);
  CHECK(mm.pages.contains(0x30000));
}

TEST_CASE("shadow: clear: leaves the mappings, without pages, unless they are too many or may be bad") {
  Shadow s;
  Mm mm;
  s.map(0x10000, 0x5000, kPage, 3);
  mm.take(s);
  s.clear();
  mm.take(s);
  CHECK(mm.last_drop == SYS_madvise);
  s.drop_all();
  s.clear();  // must not make less of it
  mm.take(s);
  CHECK(mm.last_drop == SYS_munmap);
  for (uint64_t i = 0; i < 5000; i++) {
    s.map(0x10000 + 2 * i * kPage, 0x5000, kPage, 3);
    mm.take(s);
  }
  s.clear();
  mm.take(s);
  CHECK(mm.last_drop == SYS_munmap);
  s.map(0x10000, 0x5000, kPage, 3);
  mm.take(s);
  s.clear();
  mm.take(s);
  CHECK(mm.last_drop == SYS_madvise);
}

TEST_CASE("shadow: the same page at the same place after clear: is filled, with no command") {
  Shadow s;
  Mm mm;
  s.map(0x10000, 0x5000, 2 * kPage, 5);
  mm.take(s);
  s.clear();
  CHECK(!s.mapped(0x10000));
  CHECK(s.unmap(0x10000, kPage) == Shadow::Revokes::No);
  CHECK(mm.take(s) == 1);
  CHECK(mm.pages.empty());
  s.map(0x10000, 0x5000, kPage, 5);
  s.map(0x11000, 0x9000, kPage, 5);
  CHECK(mm.take(s) == 1);  // for the page that is another one now
  CHECK(mm.pages == std::map<uint64_t, uint64_t>{{0x10000, 0x5000 | 5}, {0x11000, 0x9000 | 5}});
}

TEST_CASE("shadow: a page that the stub lost: is mapped again") {
  Shadow s;
  Mm mm;
  s.map(0x10000, 0x5000, kPage, 3);
  mm.take(s);
  mm.pages.clear();
  s.forget(0x10080);
  CHECK(mm.take(s) == 1);
  CHECK(mm.pages[0x10000] == (0x5000 | 3));
}

TEST_CASE("shadow: fault window: linear neighbours with the same rights, not beyond the reach") {
  Shadow s;
  Mm mm;
  s.map(0x10000, 0x5000, 8 * kPage, 3);
  s.map(0x18000, 0xd000, kPage, 1);
  mm.take(s);
  CHECK(s.window(0x11008, 4) == std::pair<uint64_t, uint64_t>(0x10000, 0x16000));
  CHECK(s.window(0x17000, 4) == std::pair<uint64_t, uint64_t>(0x13000, 0x18000));
}

// Whatever the guest does, in whatever order: in the end the stub has exactly what the guest wants, minus what the
// stub was never told.  A mutant that forgets a change or repeats a stale one differs.
TEST_CASE("shadow: random histories: the stub ends up with the last wish of each page") {
  const unsigned seed = GENERATE(range(0U, 30U));
  std::mt19937 random(seed);
  const auto pick = [&](uint64_t n) { return random() % n; };
  Shadow s;
  Mm mm;
  std::map<uint64_t, uint64_t> wanted;
  for (int step = 0; step < 2000; step++) {
    const uint64_t va = (pick(64) + (pick(4) << 9)) * kPage, pages = 1 + pick(12);
    switch (pick(8)) {
      case 0:
        for (uint64_t i = 0; i < pages; i++) wanted.erase(va + i * kPage);
        s.unmap(va, pages * kPage);
        break;
      case 1:
        if (pick(20) == 0) {
          wanted.clear();
          s.clear();
        }
        break;
      case 2: {
        std::vector<pando_resync_entry> list;
        std::map<uint64_t, uint64_t> rest;
        for (const auto& [at, entry] : wanted) {
          const bool inside = at >= va && at < va + pages * kPage;
          if (!inside) rest[at] = entry;
          if (!inside || pick(3) == 0) continue;
          const uint64_t good = page_floor(entry) | 1;
          list.push_back({at, good});
          if ((entry & good & 7) != 0) rest[at] = page_floor(entry) | (entry & good & 7);
        }
        s.resync(va, va + pages * kPage, list);
        wanted = rest;
        break;
      }
      case 3: mm.take(s, 8); break;
      default: {
        const uint64_t gpa = pick(100) * kPage, prot = 1 + pick(7);
        for (uint64_t i = 0; i < pages; i++) wanted[va + i * kPage] = (gpa + i * kPage) | prot;
        s.map(va, gpa, pages * kPage, static_cast<unsigned>(prot));
      }
    }
  }
  mm.take(s);
  CHECK(mm.pages == wanted);
}

}  // namespace
}  // namespace pando::stub
