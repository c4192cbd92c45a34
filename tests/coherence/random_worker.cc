// SPDX-License-Identifier: Apache-2.0
// Random reads, writes and atomic additions on pages homed everywhere, from several processes and threads per node, with
// a checker:
//   lost updates   the sum that was added to a page's counter is the sum that the threads say they added;
//                  a thread's own slot in a page still has what it wrote there last
//   stale reads    a page's counter never goes back for any thread;
//                  two words written together under the page's lock are equal for everybody who takes the lock
//
// arguments: --seconds 5 --threads 2 --processes 1 --pages 64 (per node) --seed 1
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>

#include "tests/coherence/worker.h"

using pando::kPageSize;
using pando::test::Worker;

namespace {

constexpr uint64_t kControlPage = 0;   // of node 0: barriers and totals
constexpr uint64_t kFirstDataPage = 32;  // of each node; before it, on node 0: what was added to each page
constexpr uint64_t kExpectedPerPage = kPageSize / 8;
constexpr int kSlots = 400;

struct DataPage {
  std::atomic<uint64_t> counter;
  std::atomic<uint32_t> lock;
  uint32_t spare;
  uint64_t twin[2];
  std::atomic<uint64_t> slot[kSlots];
};
static_assert(sizeof(DataPage) <= kPageSize);

struct Totals {
  std::atomic<uint32_t> barrier[4];
  std::atomic<uint64_t> operations, errors;
};
struct ExpectedPage {
  std::atomic<uint64_t> added[kExpectedPerPage];
};

class Checker {
 public:
  Checker(Worker& w, int slot) : w_(w), slot_(slot), pages_(w.number("--pages", 64)) {
    const auto nodes = static_cast<uint64_t>(w.nodes());
    if (pages_ * nodes > (kFirstDataPage - 1) * kExpectedPerPage) {
      std::fprintf(stderr, "random: --pages %lu: too many, there is no room for their sums\n", pages_);
      std::exit(2);
    }
    seen_.assign(pages_ * nodes, 0);
    added_.assign(pages_ * nodes, 0);
    mine_.assign(pages_ * nodes, 0);
    random_.seed(w.number("--seed", 1) * 1000003 + static_cast<uint64_t>(slot));
  }

  void run(std::chrono::steady_clock::time_point until) {
    while (std::chrono::steady_clock::now() < until)
      for (int i = 0; i < 16; ++i) step();
    for (uint64_t p = 0; p < added_.size(); ++p) expected(p).fetch_add(added_[p]);
    totals().operations.fetch_add(operations_);
    totals().errors.fetch_add(errors_);
  }

  Totals& totals() { return *reinterpret_cast<Totals*>(w_.range(0) + kControlPage * kPageSize); }
  std::atomic<uint64_t>& expected(uint64_t p) {
    auto* pages = reinterpret_cast<ExpectedPage*>(w_.range(0) + kPageSize);
    return pages[p / kExpectedPerPage].added[p % kExpectedPerPage];
  }
  DataPage& page(uint64_t p) {
    const auto nodes = static_cast<uint64_t>(w_.nodes());
    return *reinterpret_cast<DataPage*>(w_.range(static_cast<int>(p % nodes)) + (kFirstDataPage + p / nodes) * kPageSize);
  }
  uint64_t pages() const { return seen_.size(); }

 private:
  void step() {
    const uint64_t p = random_() % pages();
    DataPage& d = page(p);
    ++operations_;
    switch (random_() % 8) {
      case 0:
      case 1:
      case 2: look(p, d.counter.load(), 0); break;
      case 3:
      case 4: {
        const uint64_t n = random_() % 5 + 1;
        look(p, d.counter.fetch_add(n), n);
        break;
      }
      case 5:
      case 6: own_slot(p, d); break;
      default: locked(d);
    }
  }
  void look(uint64_t p, uint64_t value, uint64_t added) {
    if (value < seen_[p]) error("counter went back", p, value, seen_[p]);
    seen_[p] = value + added;
    added_[p] += added;
  }
  void own_slot(uint64_t p, DataPage& d) {
    const uint64_t now = d.slot[slot_].load(std::memory_order_relaxed);
    if (now != mine_[p]) error("own slot lost a write", p, now, mine_[p]);
    mine_[p] = random_() | 1;
    d.slot[slot_].store(mine_[p], std::memory_order_relaxed);
  }
  void locked(DataPage& d) {
    if (d.lock.exchange(1) != 0) return;
    if (d.twin[0] != d.twin[1]) error("twins differ", 0, d.twin[0], d.twin[1]);
    ++d.twin[0];
    ++d.twin[1];
    d.lock.store(0);
  }
  void error(const char* what, uint64_t p, uint64_t got, uint64_t expected_value) {
    if (++errors_ <= 5)
      std::fprintf(stderr, "random: node %d slot %d page %lu: %s: %lu, expected %lu\n", w_.self(), slot_, p, what, got,
                   expected_value);
  }

  Worker& w_;
  const int slot_;
  const uint64_t pages_;
  std::vector<uint64_t> seen_, added_, mine_;
  std::mt19937_64 random_;
  uint64_t operations_ = 0, errors_ = 0;
};

int run_process(Worker& w, int process, std::chrono::steady_clock::time_point until) {
  const int threads = static_cast<int>(w.number("--threads", 2));
  const int processes = static_cast<int>(w.number("--processes", 1));
  std::vector<std::thread> running;
  for (int t = 0; t < threads; ++t)
    running.emplace_back([&w, until, slot = (w.self() * processes + process) * threads + t] { Checker(w, slot).run(until); });
  for (std::thread& t : running) t.join();
  return 0;
}

int verdict(Worker& w) {
  Checker c(w, 0);
  uint64_t wrong = 0, sum = 0;
  for (uint64_t p = 0; p < c.pages(); ++p) {
    const uint64_t got = c.page(p).counter.load(), expected = c.expected(p).load();
    sum += got;
    if (got == expected) continue;
    if (++wrong <= 5) std::fprintf(stderr, "random: page %lu: counter %lu, added %lu\n", p, got, expected);
  }
  std::fprintf(stderr, "random: nodes=%d operations=%lu errors=%lu lost_pages=%lu sum=%lu\n", w.nodes(),
               c.totals().operations.load(), c.totals().errors.load(), wrong, sum);
  return wrong == 0 && c.totals().errors.load() == 0 && sum > 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Worker w(argc, argv);
  w.start();
  w.barrier(0);
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(w.number("--seconds", 5));
  std::vector<pid_t> children;
  for (int p = 1; p < static_cast<int>(w.number("--processes", 1)); ++p)
    children.push_back(w.fork_worker([&w, p, until] { return run_process(w, p, until); }));
  run_process(w, 0, until);
  int bad = 0;
  for (const pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    if (status != 0) ++bad;
  }
  if (bad != 0) std::fprintf(stderr, "random: node %d: %d processes failed\n", w.self(), bad);
  w.barrier(4);
  const int code = w.self() == 0 ? verdict(w) : 0;
  w.finish(code != 0 || bad != 0 ? 1 : 0);
}
