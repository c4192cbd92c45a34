// SPDX-License-Identifier: Apache-2.0
// The measured side of bench-dsm: four nodes touch each other's pages in phases; every phase begins with a barrier.  The
// node that measures appends "name p50_ns p99_ns mean_ns count" or "name value" to the file given by --out.
// --short 1: local faults and reads from a home alone.  --only PHASE: that one.  A line "mark NAME" asks bench-dsm to read the agents' histograms;
// it answers by making the file OUT.NAME.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <latch>
#include <string>
#include <thread>
#include <vector>

#include "tests/coherence/worker.h"

using pando::kPageSize;
using pando::test::Worker;

namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kSamples = 800;
constexpr uint64_t kStride = 3;           // pages of an area per sample
constexpr uint64_t kJump = 1009;          // pages between samples, prime to the area: nothing is fetched ahead
constexpr uint64_t kReservedPages = 64;   // barriers

uint64_t ns_since(Clock::time_point begun) { return static_cast<uint64_t>((Clock::now() - begun).count()); }

class Bench {
 public:
  explicit Bench(Worker& w) : w_(w) {
    for (size_t i = 0; i + 1 < w.arguments().size(); ++i)
      if (w.arguments()[i] == "--out") out_ = w.arguments()[i + 1];
      else if (w.arguments()[i] == "--only") only_ = w.arguments()[i + 1];
  }

  void run() {
    w_.set_fault_around(false);
    if (only("sequential")) return sequential();
    if (only("faulters")) return concurrent(1), concurrent(64);
    if (only("ping_pong")) return ping_pong();
    local_fault();
    read_from_home();
    if (w_.number("--short", 0)) return;
    read_three_hops();
    upgrade();
    for (int sharers = 1; sharers <= 3; ++sharers) invalidate(sharers);
    ping_pong();
    concurrent(1);
    concurrent(64);
    sequential();
    if (w_.self() == 0) mark("end");
    meet();
  }

 private:
  // A fresh sample area for each phase: page i of area a of a node's range.
  volatile uint64_t* word(int node, uint64_t area, uint64_t i) {
    return reinterpret_cast<volatile uint64_t*>(w_.range(node) +
                                                (kReservedPages + area * kSamples * kStride + i * kJump % (kSamples * kStride)) *
                                                    kPageSize);
  }
  bool only(const char* phase) const { return only_ == phase; }
  void meet() { w_.barrier((barrier_++ % 8) * 64); }
  template <class Touch>
  void fill(int node, uint64_t area, Touch touch) {
    for (uint64_t i = 0; i < kSamples; ++i) touch(word(node, area, i));
  }
  void write_all(int node, uint64_t area) {
    fill(node, area, [](volatile uint64_t* p) { *p = 1; });
  }
  template <class Touch>
  void measure(const std::string& name, int node, uint64_t area, Touch touch) {
    std::vector<uint64_t> times;
    for (uint64_t i = 0; i < kSamples; ++i) {
      volatile uint64_t* p = word(node, area, i);
      const auto begun = Clock::now();
      touch(p);
      times.push_back(ns_since(begun));
    }
    report(name, times);
  }
  void report(const std::string& name, std::vector<uint64_t> times) {
    std::ranges::sort(times);
    uint64_t sum = 0;
    for (const uint64_t t : times) sum += t;
    append(name + " " + std::to_string(times[times.size() / 2]) + " " + std::to_string(times[times.size() * 99 / 100]) +
           " " + std::to_string(sum / times.size()) + " " + std::to_string(times.size()));
  }
  void append(const std::string& line) {
    const pando::UniqueFd fd(open(out_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
    const std::string text = line + "\n";
    (void)!write(fd.get(), text.data(), text.size());
  }

  void mark(const std::string& name) {
    append("mark " + name);
    while (access((out_ + "." + name).c_str(), F_OK) != 0) usleep(500);
  }

  void local_fault() {
    meet();
    if (w_.self() == 1) measure("local_fault", 1, 0, [](volatile uint64_t* p) { *p = 1; });
    meet();
  }
  // Content lies at its home, which has it mapped and has written it.
  void read_from_home() {
    if (w_.self() == 0) write_all(0, 1);
    meet();
    if (w_.self() == 1) {
      mark("before_reads");
      const auto before = w_.client().stats();
      measure("read_from_home", 0, 1, [](volatile uint64_t* p) { (void)*p; });
      const auto after = w_.client().stats();
      const uint64_t faults = after.faults_remote_read - before.faults_remote_read;
      append("wait_ns " + std::to_string((after.fault_wait_ns - before.fault_wait_ns) / std::max<uint64_t>(faults, 1)));
      mark("after_reads");
    }
    meet();
  }
  void read_three_hops() {
    if (w_.self() == 2) write_all(0, 2);
    meet();
    if (w_.self() == 1) measure("three_hop_read", 0, 2, [](volatile uint64_t* p) { (void)*p; });
    meet();
  }
  void upgrade() {
    if (w_.self() == 0) write_all(0, 3);
    meet();
    if (w_.self() == 2) fill(0, 3, [](volatile uint64_t* p) { (void)*p; });
    meet();
    if (w_.self() == 1) fill(0, 3, [](volatile uint64_t* p) { (void)*p; });
    meet();
    if (w_.self() == 1) measure("upgrade", 0, 3, [](volatile uint64_t* p) { *p = 2; });
    meet();
  }
  void invalidate(int sharers) {
    const auto area = static_cast<uint64_t>(3 + sharers);
    if (w_.self() == 0) write_all(0, area);
    meet();
    for (int n = 1; n <= sharers; ++n) {
      if (w_.self() == n) fill(0, area, [](volatile uint64_t* p) { (void)*p; });
      meet();
    }
    if (w_.self() == 0)
      measure("invalidate_" + std::to_string(sharers), 0, area, [](volatile uint64_t* p) { *p = 2; });
    meet();
  }
  // One word goes to and fro between nodes 0 and 1.
  void ping_pong() {
    auto& turn = w_.atomic_at<uint64_t>((kReservedPages - 1) * kPageSize);
    meet();
    constexpr uint64_t kRounds = 400;
    if (w_.self() <= 1) {
      const auto me = static_cast<uint64_t>(w_.self());
      std::vector<uint64_t> times;
      for (uint64_t i = 0; i < kRounds; ++i) {
        const auto begun = Clock::now();
        while (turn.load(std::memory_order_acquire) != 2 * i + me) std::this_thread::yield();
        turn.fetch_add(1);
        times.push_back(ns_since(begun));
      }
      if (w_.self() == 0) report("ping_pong", times);
    }
    meet();
  }
  void concurrent(int threads) {
    const uint64_t area = threads == 1 ? 7 : 8;
    if (w_.self() == 0) write_all(0, area);
    meet();
    if (w_.self() == 1) {
      std::atomic<uint64_t> next{0};
      std::vector<uint64_t> times(kSamples);
      std::latch all_run(threads);  // the price of a thread's start is none of a fault's
      std::vector<Clock::time_point> begun(static_cast<size_t>(threads));
      std::vector<std::thread> running;
      for (int t = 0; t < threads; ++t)
        running.emplace_back([&, t] {
          all_run.arrive_and_wait();
          begun[static_cast<size_t>(t)] = Clock::now();
          for (uint64_t i = next++; i < kSamples; i = next++) {
            const auto touched = Clock::now();
            (void)*word(0, area, i);
            times[i] = ns_since(touched);
          }
        });
      for (std::thread& t : running) t.join();
      const std::string name = "faulters_" + std::to_string(threads);
      append(name + "_per_second " + std::to_string(kSamples * 1'000'000'000 / ns_since(std::ranges::min(begun))));
      report(name, times);
    }
    meet();
  }
  void sequential() {
    w_.set_fault_around(true);
    const uint64_t first = kReservedPages + 9 * kSamples * kStride;
    uint8_t* base = w_.range(2) + first * kPageSize;
    if (w_.self() == 2)
      for (uint64_t i = 0; i < w_.number("--mib", 256) << (20 - pando::kPageShift); ++i) *reinterpret_cast<volatile uint64_t*>(base + i * kPageSize) = i + 1;
    meet();
    if (w_.self() == 1) {
      constexpr uint64_t kMiB = 1 << 20;
      const uint64_t bytes = w_.number("--mib", 256) * kMiB;
      uint64_t sum = 0;
      std::vector<uint64_t> times;
      const auto begun = Clock::now();
      for (uint64_t mib = 0; mib < bytes; mib += kMiB) {
        const auto touched = Clock::now();
        for (uint64_t at = mib; at < mib + kMiB; at += 64) sum += *reinterpret_cast<volatile uint64_t*>(base + at);
        times.push_back(ns_since(touched));
      }
      const double seconds = static_cast<double>(ns_since(begun)) * 1e-9;
      const uint64_t pages = bytes >> pando::kPageShift;
      if (sum == pages * (pages + 1) / 2) {
        append("sequential_bytes_per_second " + std::to_string(static_cast<uint64_t>(static_cast<double>(bytes) / seconds)));
        report("sequential_mib", times);
      }
    }
    meet();
  }

  Worker& w_;
  std::string out_, only_;
  uint64_t barrier_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  Worker w(argc, argv);
  w.start();
  Bench(w).run();
  w.finish(0);
}
