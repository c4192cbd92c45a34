// SPDX-License-Identifier: Apache-2.0
// Litmus tests on variables in pages of different homes.  Each run uses cells of its own: cell i of page x and cell i of
// page y, so that the threads need no barrier between runs.  Threads of a test run on different nodes; in every second
// batch all run on one node, on pages homed elsewhere, where the host's own store buffers show (SB).
//
// x86-TSO forbids: MP 1,0; LB 1,1; IRIW 1,0,1,0; 2+2W 1,1 (both first writes last); S 2,1; CoRR 1,0; WRC 1,1,0; and all of
// SB 0,0 and R 1,0 when the threads use locked instructions between.
// arguments: --runs 2048 (per test)
#include <cstdio>
#include <random>
#include <thread>

#include "tests/coherence/worker.h"

using pando::kPageSize;
using pando::test::Worker;

namespace {

constexpr uint32_t kCells = 256;  // a batch: what fits into a page
constexpr int kThreadsMax = 4;

using Cell = std::atomic<uint32_t>;
struct alignas(kPageSize / kCells) Line {
  Cell cell;
};
struct Variables {
  Line* x;
  Line* y;
};
struct Seen {
  std::atomic<uint32_t> value[2];  // what the thread read
};
static_assert(sizeof(Seen) * kCells <= kPageSize);

// Lets the threads of one node begin each run at the same time.
class Rendezvous {
 public:
  explicit Rendezvous(uint32_t threads) : threads_(threads) {}
  void meet() {
    const uint32_t mine = arrived_.fetch_add(1) + 1;
    const uint32_t wanted = (mine + threads_ - 1) / threads_ * threads_;
    for (uint32_t looks = 0; arrived_.load(std::memory_order_acquire) < wanted; ++looks) {
      __builtin_ia32_pause();
      if (looks % 1024 == 1023) std::this_thread::yield();  // fewer processors than threads
    }
  }

 private:
  uint32_t threads_;
  std::atomic<uint32_t> arrived_{0};
};

uint32_t get(Cell& c) { return c.load(std::memory_order_acquire); }       // plain mov
void put(Cell& c, uint32_t v) { c.store(v, std::memory_order_release); }  // plain mov
void fence() { std::atomic_thread_fence(std::memory_order_seq_cst); }     // locked or mfence

struct Test {
  const char* name;
  int threads;
  void (*body)(int thread, Cell& x, Cell& y, uint32_t* read);
  // read[thread][k], and the final values of x and y
  bool (*interesting)(const uint32_t (*read)[2], uint32_t x, uint32_t y);
  bool forbidden;
};

void mp(int t, Cell& x, Cell& y, uint32_t* r) {
  if (t == 0) put(x, 1), put(y, 1);
  else r[0] = get(y), r[1] = get(x);
}
bool mp_seen(const uint32_t (*r)[2], uint32_t, uint32_t) { return r[1][0] == 1 && r[1][1] == 0; }
void sb(int t, Cell& x, Cell& y, uint32_t* r) {
  put(t == 0 ? x : y, 1);
  r[0] = get(t == 0 ? y : x);
}
void sb_locked(int t, Cell& x, Cell& y, uint32_t* r) {
  put(t == 0 ? x : y, 1);
  fence();
  r[0] = get(t == 0 ? y : x);
}
bool sb_seen(const uint32_t (*r)[2], uint32_t, uint32_t) { return r[0][0] == 0 && r[1][0] == 0; }
void lb(int t, Cell& x, Cell& y, uint32_t* r) {
  r[0] = get(t == 0 ? x : y);
  put(t == 0 ? y : x, 1);
}
bool lb_seen(const uint32_t (*r)[2], uint32_t, uint32_t) { return r[0][0] == 1 && r[1][0] == 1; }
void iriw(int t, Cell& x, Cell& y, uint32_t* r) {
  if (t == 0) put(x, 1);
  else if (t == 1) put(y, 1);
  else if (t == 2) r[0] = get(x), r[1] = get(y);
  else r[0] = get(y), r[1] = get(x);
}
bool iriw_seen(const uint32_t (*r)[2], uint32_t, uint32_t) {
  return r[2][0] == 1 && r[2][1] == 0 && r[3][0] == 1 && r[3][1] == 0;
}
void two_w(int t, Cell& x, Cell& y, uint32_t*) {
  if (t == 0) put(x, 1), put(y, 2);
  else put(y, 1), put(x, 2);
}
bool two_w_seen(const uint32_t (*)[2], uint32_t x, uint32_t y) { return x == 1 && y == 1; }
void r_test(int t, Cell& x, Cell& y, uint32_t* r) {
  if (t == 0) {
    put(x, 1), put(y, 1);
  } else {
    put(y, 2);
    fence();
    r[0] = get(x);
  }
}
bool r_seen(const uint32_t (*r)[2], uint32_t, uint32_t y) { return y == 2 && r[1][0] == 0; }
void s_test(int t, Cell& x, Cell& y, uint32_t* r) {
  if (t == 0) put(x, 2), put(y, 1);
  else r[0] = get(y), put(x, 1);
}
bool s_seen(const uint32_t (*r)[2], uint32_t x, uint32_t) { return r[1][0] == 1 && x == 2; }
void corr(int t, Cell& x, Cell&, uint32_t* r) {
  if (t == 0) put(x, 1);
  else r[0] = get(x), r[1] = get(x);
}
bool corr_seen(const uint32_t (*r)[2], uint32_t, uint32_t) { return r[1][0] == 1 && r[1][1] == 0; }
void wrc(int t, Cell& x, Cell& y, uint32_t* r) {
  if (t == 0) put(x, 1);
  else if (t == 1) r[0] = get(x), put(y, 1);
  else r[0] = get(y), r[1] = get(x);
}
bool wrc_seen(const uint32_t (*r)[2], uint32_t, uint32_t) { return r[1][0] == 1 && r[2][0] == 1 && r[2][1] == 0; }
void locked_mp(int t, Cell& x, Cell& y, uint32_t* r) {
  if (t == 0) x.exchange(1), y.exchange(1);
  else r[0] = y.fetch_add(0), r[1] = x.fetch_add(0);
}

constexpr Test kTests[] = {
    {"MP", 2, mp, mp_seen, true},           {"SB", 2, sb, sb_seen, false},
    {"SB+locked", 2, sb_locked, sb_seen, true}, {"LB", 2, lb, lb_seen, true},
    {"IRIW", 4, iriw, iriw_seen, true},     {"2+2W", 2, two_w, two_w_seen, true},
    {"R+locked", 2, r_test, r_seen, true},  {"S", 2, s_test, s_seen, true},
    {"CoRR", 2, corr, corr_seen, true},     {"WRC", 3, wrc, wrc_seen, true},
    {"MP+locked", 2, locked_mp, mp_seen, true},
};

class Litmus {
 public:
  explicit Litmus(Worker& w) : w_(w), random_(static_cast<uint64_t>(w.self()) + 1) {}

  // 0: as expected.
  int run() {
    const auto batches = static_cast<uint32_t>((w_.number("--runs", 2048) + kCells - 1) / kCells);
    int bad = 0;
    for (const Test& test : kTests) {
      uint64_t seen = 0;
      for (uint32_t b = 0; b < batches; ++b) seen += batch(test, b);
      if (w_.self() != 0) continue;
      const bool wrong = test.forbidden && seen != 0;
      const bool shows_nothing = &test == &kTests[1] && seen == 0;
      std::fprintf(stderr, "litmus: %-10s runs=%u seen=%lu %s\n", test.name, batches * kCells, seen,
                   wrong ? "FORBIDDEN" : shows_nothing ? "never seen: the test shows nothing" : "ok");
      if (wrong || shows_nothing) ++bad;
    }
    return bad;
  }

 private:
  Line* lines(int node, uint64_t page) { return reinterpret_cast<Line*>(w_.range(node) + (16 + page) * kPageSize); }
  Seen* results(int thread) {
    return reinterpret_cast<Seen*>(w_.range(0) + (4 + static_cast<uint64_t>(thread)) * kPageSize);
  }

  // Returns, on node 0, how often the outcome was seen.
  uint64_t batch(const Test& test, uint32_t number) {
    const bool together = number % 2 == 1;
    const int last = w_.nodes() - 1;
    const Variables v{lines(together ? last : 0, number % 8), lines(last, 8 + number % 8)};
    if (w_.self() == 0)
      for (uint32_t i = 0; i < kCells; ++i) v.x[i].cell = 0, v.y[i].cell = 0;
    w_.barrier(0);
    std::vector<std::thread> threads;
    Rendezvous rendezvous(together ? static_cast<uint32_t>(test.threads) : 1);
    const uint32_t pauses_max = 4u << number / 2 % 4 * 2;
    for (int t = 0; t < test.threads; ++t)
      if (w_.self() == (together ? 0 : t % w_.nodes()))
        threads.emplace_back([this, &test, t, v, pauses_max, &rendezvous, seed = random_()] {
          run_thread({test, t, v, pauses_max, static_cast<uint32_t>(seed)}, rendezvous);
        });
    for (std::thread& t : threads) t.join();
    w_.barrier(64);
    uint64_t seen = 0;
    if (w_.self() == 0) seen = count(test, v);
    w_.barrier(128);
    return seen;
  }

  struct Part {
    const Test& test;
    int thread;
    Variables v;
    uint32_t pauses_max;
    uint32_t seed;
  };

  void run_thread(const Part& part, Rendezvous& rendezvous) {
    std::minstd_rand random(part.seed);
    uint32_t read[kCells][2] = {};
    const int t = part.thread;
    for (uint32_t i = 0; i < kCells; ++i) {
      rendezvous.meet();
      for (uint32_t pauses = random() % part.pauses_max; pauses > 0; --pauses) __builtin_ia32_pause();
      part.test.body(t, part.v.x[i].cell, part.v.y[i].cell, read[i]);
    }
    for (uint32_t i = 0; i < kCells; ++i)
      for (int k = 0; k < 2; ++k) results(t)[i].value[k] = read[i][k];
  }

  uint64_t count(const Test& test, const Variables& v) {
    uint64_t seen = 0;
    for (uint32_t i = 0; i < kCells; ++i) {
      uint32_t read[kThreadsMax][2] = {};
      for (int t = 0; t < test.threads; ++t)
        for (int k = 0; k < 2; ++k) read[t][k] = results(t)[i].value[k];
      seen += test.interesting(read, v.x[i].cell, v.y[i].cell);
    }
    return seen;
  }

  Worker& w_;
  std::minstd_rand random_;
};

}  // namespace

int main(int argc, char** argv) {
  Worker w(argc, argv);
  w.start();
  const int bad = Litmus(w).run();
  w.finish(bad == 0 ? 0 : 1);
}
