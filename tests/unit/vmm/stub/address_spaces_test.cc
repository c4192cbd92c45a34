// SPDX-License-Identifier: Apache-2.0
#include "vmm/stub/address_spaces.h"
#include "vmm/stub/nursery.h"
#include "vmm/stub/stub_process.h"

#include <algorithm>
#include <csignal>
#include <future>
#include <thread>

#include "tests/unit/vmm/stub/guest.h"
#include "tests/catch.h"

namespace pando::stub::test {
namespace {

constexpr uint64_t kDataGpa = 0x200000;

USER_CODE(write_bases, "wrfsbase %rsi\n wrgsbase %rdi\n syscall\n rdfsbase %rsi\n rdgsbase %rdi\n syscall\n");
USER_CODE(call_getppid, "movl $110, %eax\n movl $1, %edi\n movl $2, %esi\n syscall\n hlt\n");
USER_CODE(just_call, "syscall\n");
USER_CODE(load_then_call, "movq (%rbx), %rcx\n syscall\n");
USER_CODE(store_then_call, "movq %rdx, (%rbx)\n syscall\n");
USER_CODE(loop_forever, "1: jmp 1b\n");
USER_CODE(count_forever, "1: lock incq (%rbx)\n jmp 1b\n");
// Adds one to (%rbx), then waits until (%rbp) is at least %rdx.
USER_CODE(meet, "lock incq (%rbx)\n 1: pause\n cmpq %rdx, (%rbp)\n jb 1b\n syscall\n");
USER_CODE(read_bases, "movq %fs:0, %rcx\n movq %gs:8, %rdx\n syscall\n");
USER_CODE(swap_vectors, "vmovdqu %ymm1, %ymm2\n vpaddq %ymm1, %ymm1, %ymm1\n syscall\n");
USER_CODE(illegal, "ud2\n");
USER_CODE(divide, "xorl %ecx, %ecx\n divl %ecx\n");
USER_CODE(breakpoint, "int3\n");
USER_CODE(old_call, "int $0x80\n");

TEST_CASE("stub: a system call of user code: its number and arguments reach the guest kernel") {
  Guest g;
  TestCpu cpu;
  g.code(call_getppid_start, call_getppid_end);
  CHECK(g.run(cpu) == PANDO_EXIT_FAULT);
  CHECK(g.user.address == kCode);
  CHECK((g.user.error & 16) != 0);
  CHECK(g.map(cpu, kMm, kCode, 0x100000, kPageSize, 5) == 0);
  REQUIRE(g.run(cpu) == PANDO_EXIT_SYSCALL);
  CHECK(g.regs.ax == 110);
  CHECK(g.regs.di == 1);
  CHECK(g.regs.si == 2);
  CHECK(g.regs.ip == kCode + 17);
  REQUIRE(g.run(cpu) == PANDO_EXIT_TRAP);
  CHECK(g.user.signal == SIGSEGV);
  CHECK(g.user.trap == 13);
}

TEST_CASE("stub: registers and flags: come back as they went in, in each way of waiting") {
  const HandOver how = GENERATE(HandOver::Adaptive, HandOver::Spin, HandOver::Block);
  Guest g({.hand_over = how});
  TestCpu cpu;
  g.code(just_call_start, just_call_end);
  for (uint64_t i = 0; i < 300; i++) {
    const uint64_t flags = 0x202 | (i % 2 ? 0x8d5 : 0);
    g.regs = {.r15 = i, .r14 = ~i, .r13 = i << 8, .r12 = i << 16, .bp = i + 5, .bx = i + 6, .r10 = i + 7, .r9 = i + 8,
              .r8 = i + 9, .ax = i, .dx = i + 12, .si = i + 13, .di = i + 14, .ip = kCode, .flags = flags, .sp = i + 16};
    const UserRegs before = g.regs;
    REQUIRE(g.run_with_code(cpu) == PANDO_EXIT_SYSCALL);
    REQUIRE(g.regs.ip == kCode + 2);
    REQUIRE(g.regs.flags == before.flags);
    g.regs.ip = before.ip;
    g.regs.cx = before.cx;    // clobbered by the instruction
    g.regs.r11 = before.r11;
    g.regs.orig_ax = before.orig_ax;
    g.regs.cs = before.cs;
    g.regs.ss = before.ss;
    REQUIRE(std::memcmp(&g.regs, &before, sizeof before) == 0);
  }
}

TEST_CASE("stub: vector registers: live in the guest's FPU image") {
  if (!__builtin_cpu_supports("avx2")) return;
  Guest g;
  TestCpu cpu;
  g.code(swap_vectors_start, swap_vectors_end);
  const auto word = [&](size_t at) -> uint64_t& { return *reinterpret_cast<uint64_t*>(g.fpu.data() + at); };
  word(512) = 7;             // x87, SSE, AVX in use
  word(160 + 16) = 21;       // xmm1
  word(576 + 16) = 1ULL << 40;  // upper half of ymm1
  REQUIRE(g.run_with_code(cpu) == PANDO_EXIT_SYSCALL);
  CHECK(word(160 + 16) == 42);
  CHECK(word(576 + 16) == 1ULL << 41);
  CHECK(word(160 + 32) == 21);
  CHECK(word(576 + 32) == 1ULL << 40);
}

TEST_CASE("stub: a malformed FPU image: becomes a valid one instead of killing the stub") {
  Guest g;
  TestCpu cpu;
  g.code(just_call_start, just_call_end);
  std::fill(g.fpu.begin(), g.fpu.end(), 0xff);
  CHECK(g.run_with_code(cpu) == PANDO_EXIT_SYSCALL);
  CHECK(g.spaces.counters().stubs_killed == 0);
}

TEST_CASE("stub: a page that this node does not have: is fetched without the guest's help") {
  const Install install = GENERATE(Install::Eager, Install::OnFault);
  Guest g({.install = install}, 2);
  TestCpu cpu;
  g.node.absent = {page_of(GuestPhys(kDataGpa))};
  g.code(load_then_call_start, load_then_call_end);
  g.regs.bx = kData + 8;
  g.map(cpu, kMm, kCode, g.code_gpa, kPageSize, 5);
  REQUIRE(g.run_with_code(cpu) == PANDO_EXIT_FAULT);
  CHECK(g.user.address == kData + 8);
  CHECK((g.user.error & 2) == 0);
  const int before = g.node.faults;
  g.map(cpu, kMm, kData, kDataGpa);
  REQUIRE(g.run(cpu) == PANDO_EXIT_SYSCALL);
  CHECK(g.node.faults == before + 1);
  CHECK(g.node.last_info.address == kData + 8);
  CHECK(g.node.last_info.mm == kMm);
  CHECK(g.node.last_info.user);
  CHECK(g.node.windows_are_sane);
}

// A kick that finds its stub just stopped is answered by nobody.
TEST_CASE("stub: kicked when it has just stopped: idle stubs are not taken for unresponsive ones") {
  constexpr int kSpaces = 60, kRunsEach = 20, kUnresponsiveMs = 200;
  Guest g({.unresponsive_ms = kUnresponsiveMs});
  TestCpu cpu;
  g.code(just_call_start, just_call_end);
  std::atomic<bool> over{false};
  std::thread kicker([&] {
    while (!over) AddressSpaces::kick(cpu.run);
  });
  const UserRegs start = g.regs;
  for (uint32_t mm = 1; mm <= kSpaces; mm++) {
    for (int i = 0; i < kRunsEach; i++) {
      g.regs = start;
      long exit = PANDO_EXIT_INTERRUPT;
      for (int tries = 0; tries < 1000 && exit == PANDO_EXIT_INTERRUPT; tries++) exit = g.run_with_code(cpu, MmId(mm));
      if (exit != PANDO_EXIT_SYSCALL) over = true;
      if (over) kicker.join();
      REQUIRE(exit == PANDO_EXIT_SYSCALL);
    }
  }
  over = true;
  kicker.join();
  std::this_thread::sleep_for(std::chrono::milliseconds(3 * kUnresponsiveMs));
  CHECK(g.spaces.counters().violations == 0);
  CHECK(g.spaces.counters().stubs_killed == 0);
}

// Every so many claims the VMM reads the pipe, into which a stub that was faster than its look has written nothing.
TEST_CASE("stub: has claimed its stop before the VMM sleeps, many times: no stop is waited for in vain") {
  TestNode node(kPageSize);
  Nursery nursery(node.ram_fd(), Populate::No);
  StubProcess process(nursery.make());
  std::promise<void> over;
  std::thread rescue([&process, ended = over.get_future()] {
    if (ended.wait_for(std::chrono::seconds(10)) != std::future_status::ready) process.kill();
  });
  std::vector<Stop> stops;
  for (uint32_t i = 1; i <= 2 * StubProcess::kStopsUnreadMax; i++) {
    process.go({.commands = 0, .after = STUB_STOP, .spin = 100});
    // Longer than the stub takes to claim.  Were it not, the test would pass without having tried anything.
    if (i % StubProcess::kStopsUnreadMax == 0) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    stops.push_back(process.wait_stop(100'000'000));
  }
  over.set_value();
  rescue.join();
  const auto claimed = std::count(stops.begin(), stops.end(), Stop::Claimed);
  const auto proven = std::count(stops.begin(), stops.end(), Stop::Proven);
  CHECK(proven == 2);
  CHECK(claimed == static_cast<ptrdiff_t>(stops.size()) - 2);
}

TEST_CASE("stub: a page that nobody wrote, on a node that is alone: is there with its mapping") {
  Guest g;
  TestCpu cpu;
  g.code(load_then_call_start, load_then_call_end);
  g.regs.bx = kData;
  REQUIRE(g.run_with_code(cpu) == PANDO_EXIT_FAULT);
  const int before = g.node.faults;
  g.map(cpu, kMm, kData, kDataGpa);
  REQUIRE(g.run(cpu) == PANDO_EXIT_SYSCALL);
  CHECK(g.node.faults == before);
}

TEST_CASE("stub: a page that is here, eager: is installed with its mapping") {
  Guest g;
  TestCpu cpu;
  g.code(load_then_call_start, load_then_call_end);
  g.regs.bx = kData;
  g.node.word(kDataGpa) = 77;
  REQUIRE(g.run_with_code(cpu) == PANDO_EXIT_FAULT);
  const int before = g.node.faults;
  g.map(cpu, kMm, kData, kDataGpa);
  REQUIRE(g.run(cpu) == PANDO_EXIT_SYSCALL);
  CHECK(g.regs.bx == kData);
  CHECK(g.node.faults == before);
}

TEST_CASE("stub: rights: a store to a read-only mapping is a fault, after a new mapping it is not") {
  Guest g;
  TestCpu cpu;
  g.code(store_then_call_start, store_then_call_end);
  g.regs.bx = kData;
  g.regs.dx = 99;
  REQUIRE(g.run_with_code(cpu) == PANDO_EXIT_FAULT);
  g.map(cpu, kMm, kData, kDataGpa, kPageSize, 1);
  REQUIRE(g.run(cpu) == PANDO_EXIT_FAULT);
  CHECK((g.user.error & 2) != 0);
  g.map(cpu, kMm, kData, kDataGpa, kPageSize, 3);
  REQUIRE(g.run(cpu) == PANDO_EXIT_SYSCALL);
  CHECK(g.node.word(kDataGpa) == 99);
}

TEST_CASE("stub: copy on write: the page behind an address is exchanged") {
  Guest g;
  TestCpu cpu;
  g.code(store_then_call_start, store_then_call_end);
  g.regs.bx = kData;
  g.regs.dx = 5;
  REQUIRE(g.run_with_code(cpu) == PANDO_EXIT_FAULT);
  g.map(cpu, kMm, kData, kDataGpa, kPageSize, 1);
  REQUIRE(g.run(cpu) == PANDO_EXIT_FAULT);
  CHECK(g.spaces.unmap(&cpu.run, kMm, GuestVirt(kData), kPageSize) == 0);
  g.map(cpu, kMm, kData, kDataGpa + kPageSize, kPageSize, 3);
  REQUIRE(g.run(cpu) == PANDO_EXIT_SYSCALL);
  CHECK(g.node.word(kDataGpa) == 0);
  CHECK(g.node.word(kDataGpa + kPageSize) == 5);
}

TEST_CASE("stub: resync: narrows to what is listed") {
  Guest g;
  TestCpu cpu;
  g.code(store_then_call_start, store_then_call_end);
  g.regs.bx = kData;
  REQUIRE(g.run_with_code(cpu) == PANDO_EXIT_FAULT);
  g.map(cpu, kMm, kData, kDataGpa, 2 * kPageSize);
  REQUIRE(g.run(cpu) == PANDO_EXIT_SYSCALL);
  pando_resync list{};
  list.to = PANDO_USER_TOP;
  list.count = 2;
  list.entry[0] = {kCode, g.code_gpa | 5};
  list.entry[1] = {kData, kDataGpa | 1};
  CHECK(g.spaces.resync(&cpu.run, kMm, list) == 0);
  const int before = g.node.faults;
  g.regs.ip = kCode;
  REQUIRE(g.run(cpu) == PANDO_EXIT_FAULT);  // code is still there, the store is refused
  CHECK(g.user.address == kData);
  CHECK((g.user.error & 3) == 3);           // present, write
  CHECK(g.node.faults == before);
  g.regs.bx = kData + kPageSize;            // was not listed
  REQUIRE(g.run(cpu) == PANDO_EXIT_FAULT);
  CHECK((g.user.error & 3) == 2);
}

TEST_CASE("stub: segment bases: user code sees those of the thread") {
  Guest g;
  TestCpu cpu;
  g.code(read_bases_start, read_bases_end);
  g.node.word(kDataGpa) = 11;
  g.node.word(kDataGpa + 24) = 13;
  g.regs.bx = kData;
  g.user.fs_base = kData;
  g.user.gs_base = kData + 16;
  REQUIRE(g.run_with_code(cpu) == PANDO_EXIT_FAULT);
  g.map(cpu, kMm, kData, kDataGpa);
  REQUIRE(g.run(cpu) == PANDO_EXIT_SYSCALL);
  CHECK(g.regs.dx == 13);
}

TEST_CASE("stub: segment bases that user code writes itself: are reported, and changed ones arrive") {
  Guest g;
  if (!g.spaces.fsgsbase()) return;  // the instructions do not exist there
  TestCpu cpu;
  g.code(write_bases_start, write_bases_end);
  for (uint64_t i = 1; i < 10; i++) {
    g.regs.ip = kCode;
    g.regs.si = kData + i * 64;
    g.regs.di = kData + i * 128;
    g.user.fs_base = g.user.gs_base = 0;
    REQUIRE(g.run_with_code(cpu) == PANDO_EXIT_SYSCALL);
    CHECK(g.user.fs_base == kData + i * 64);
    CHECK(g.user.gs_base == kData + i * 128);
    g.user.fs_base = kData + i;
    REQUIRE(g.run(cpu) == PANDO_EXIT_SYSCALL);
    CHECK(g.regs.si == kData + i);
    CHECK(g.regs.di == kData + i * 128);
    CHECK(g.user.fs_base == kData + i);
    CHECK(g.user.gs_base == kData + i * 128);
  }
}

TEST_CASE("stub: exceptions: arrive with signal and trap number") {
  struct Case {
    const char* start;
    const char* end;
    uint32_t signal;
    uint64_t trap;
  };
  const Case c = GENERATE(Case{illegal_start, illegal_end, SIGILL, 6}, Case{divide_start, divide_end, SIGFPE, 0},
                          Case{breakpoint_start, breakpoint_end, SIGTRAP, 3});
  Guest g;
  TestCpu cpu;
  g.code(c.start, c.end);
  REQUIRE(g.run_with_code(cpu) == PANDO_EXIT_TRAP);
  CHECK(g.user.signal == c.signal);
  CHECK(g.user.trap == c.trap);
}

TEST_CASE("stub: a 32-bit system call: is an illegal access, as on a host without them") {
  Guest g;
  TestCpu cpu;
  g.code(old_call_start, old_call_end);
  REQUIRE(g.run_with_code(cpu) == PANDO_EXIT_TRAP);
  CHECK(g.user.signal == SIGSEGV);
}

TEST_CASE("stub: single-stepping: one instruction at a time") {
  Guest g;
  TestCpu cpu;
  g.code(loop_forever_start, loop_forever_end);
  g.regs.flags = 0x302;
  REQUIRE(g.run_with_code(cpu) == PANDO_EXIT_TRAP);
  CHECK(g.user.signal == SIGTRAP);
  CHECK(g.regs.ip == kCode);
}

TEST_CASE("stub: an interrupt: stops user code that makes no system call") {
  const HandOver how = GENERATE(HandOver::Spin, HandOver::Block);
  Guest g({.hand_over = how});
  TestCpu cpu;
  g.code(loop_forever_start, loop_forever_end);
  cpu.pending = 1;
  CHECK(g.run_with_code(cpu) == PANDO_EXIT_INTERRUPT);
  cpu.pending = 0;
  const KickTimer timer(cpu, 20);
  CHECK(g.run_with_code(cpu) == PANDO_EXIT_INTERRUPT);
  CHECK(g.regs.ip == kCode);
}

TEST_CASE("stub: two vCPUs of one address space: run at the same time") {
  Guest g({.vcpus = 2});
  g.code(meet_start, meet_end);
  std::atomic<int> met{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; i++) {
    threads.emplace_back([&, i] {
      TestCpu cpu(i);
      UserRegs regs{};
      regs.ip = kCode;
      regs.bx = kData + 64 * i;         // mine
      regs.bp = kData + 64 * (1 - i);   // the other's
      regs.dx = 1;
      std::vector<uint8_t> fpu = g.fpu;
      pando_user user{};
      long exit = PANDO_EXIT_FAULT;
      for (int round = 0; round < 100 && exit == PANDO_EXIT_FAULT; round++) {
        exit = g.spaces.run_user(cpu.run, kMm, user, &regs, fpu.data());
        const bool code = user.address < kCode + kPageSize;
        if (exit == PANDO_EXIT_FAULT)
          g.map(cpu, kMm, code ? kCode : kData, code ? g.code_gpa : kDataGpa, kPageSize, code ? 5 : 3);
      }
      met += exit == PANDO_EXIT_SYSCALL;
    });
  }
  for (auto& t : threads) t.join();
  CHECK(met == 2);
  CHECK(g.spaces.counters().stubs_made == 2);
}

TEST_CASE("stub: unmap while user code runs: afterwards it cannot reach the page") {
  const HandOver how = GENERATE(HandOver::Spin, HandOver::Block);
  Guest g({.vcpus = 2, .hand_over = how});
  g.code(count_forever_start, count_forever_end);
  std::atomic<long> exit{-1};
  std::atomic<uint64_t> fault_address{0};
  std::thread runner([&] {
    TestCpu cpu;
    g.regs.bx = kData;
    long e = g.run_with_code(cpu);
    if (e == PANDO_EXIT_FAULT) {
      g.map(cpu, kMm, kData, kDataGpa);
      e = g.run(cpu);
    }
    fault_address = g.user.address;
    exit = e;
  });
  uint64_t* counter = &g.node.word(kDataGpa);
  while (__atomic_load_n(counter, __ATOMIC_RELAXED) < 1000) std::this_thread::yield();
  CHECK(g.spaces.unmap(nullptr, kMm, GuestVirt(kData), kPageSize) == 0);
  const uint64_t after = __atomic_load_n(counter, __ATOMIC_SEQ_CST);
  runner.join();
  CHECK(__atomic_load_n(counter, __ATOMIC_SEQ_CST) == after);
  CHECK(exit == PANDO_EXIT_FAULT);
  CHECK(fault_address == kData);
  CHECK(g.spaces.counters().parks == 1);
}

TEST_CASE("stub: more mappings than the host allows: all are dropped and come back one by one") {
  Guest g;
  TestCpu cpu;
  g.code(store_then_call_start, store_then_call_end);
  g.regs.bx = kData;
  REQUIRE(g.run_with_code(cpu) == PANDO_EXIT_FAULT);
  constexpr uint64_t kBase = 0x100000000, kPages = 70000;
  for (uint64_t i = 0; i < kPages; i++) {
    const uint64_t gpa = kDataGpa + (i % 2 ? 0 : 16 * kPageSize);
    REQUIRE(g.map(cpu, kMm, kBase + i * kPageSize, gpa, kPageSize, 1 + i % 2) == 0);
  }
  REQUIRE(g.run_with_code(cpu) == PANDO_EXIT_FAULT);
  CHECK(g.spaces.counters().resets >= 1);
  g.map(cpu, kMm, kData, kDataGpa);
  REQUIRE(g.run_with_code(cpu) == PANDO_EXIT_SYSCALL);
}

TEST_CASE("stub: address spaces that come and go: share a few processes") {
  Guest g;
  TestCpu cpu;
  for (uint64_t i = 1; i <= 40; i++) {
    g.code(just_call_start, just_call_end);
    REQUIRE(g.run_with_code(cpu, MmId(i)) == PANDO_EXIT_SYSCALL);
    REQUIRE(g.spaces.free(&cpu.run, MmId(i)) == 0);
  }
  CHECK(g.spaces.counters().stubs_made == 1);
}

TEST_CASE("stub: a process that served another address space: nothing of that can be reached, not even where it is mapped") {
  const int nodes = GENERATE(1, 2);
  Guest g({}, nodes);
  TestCpu cpu;
  g.node.word(kDataGpa) = 0x5ec3e7;
  g.code(load_then_call_start, load_then_call_end);
  g.regs.bx = kData;
  g.map(cpu, MmId(1), kData, kDataGpa);
  REQUIRE(g.run_with_code(cpu, MmId(1)) == PANDO_EXIT_FAULT);
  g.map(cpu, MmId(1), kData, kDataGpa);
  REQUIRE(g.run(cpu, MmId(1)) == PANDO_EXIT_SYSCALL);
  REQUIRE(g.spaces.free(&cpu.run, MmId(1)) == 0);
  const int before = g.node.faults;
  g.code(load_then_call_start, load_then_call_end);
  g.regs.bx = kData;
  CHECK(g.run_with_code(cpu, MmId(2)) == PANDO_EXIT_FAULT);
  CHECK(g.user.address == kData);
  CHECK(g.node.faults == before);
  // Its own page there, and only that.
  g.node.word(kDataGpa + kPageSize) = 7;
  g.map(cpu, MmId(2), kData, kDataGpa + kPageSize);
  CHECK(g.run(cpu, MmId(2)) == PANDO_EXIT_SYSCALL);
  CHECK(g.spaces.counters().stubs_made == 1);
}

TEST_CASE("stub: more address spaces than processes allowed: the oldest loses its process, and runs again") {
  Guest g({.stubs_max = 3});
  TestCpu cpu;
  for (int round = 0; round < 2; round++) {
    for (uint64_t i = 1; i <= 8; i++) {
      g.code(just_call_start, just_call_end);
      REQUIRE(g.run_with_code(cpu, MmId(i)) == PANDO_EXIT_SYSCALL);
    }
  }
  CHECK(g.spaces.counters().stubs_made == 3);
  CHECK(g.spaces.counters().stubs_evicted >= 10);
}

TEST_CASE("stub: arguments that no kernel would give: are refused") {
  Guest g;
  TestCpu cpu;
  const auto map = [&](uint64_t mm, uint64_t va, uint64_t gpa, uint64_t bytes, uint64_t prot) {
    return g.spaces.map(cpu.run, MmId(mm), GuestVirt(va), GuestPhys(gpa), bytes, prot);
  };
  CHECK(map(0, kData, 0, kPageSize, 1) == -EINVAL);
  CHECK(map(1, kData + 1, 0, kPageSize, 1) == -EINVAL);
  CHECK(map(1, kData, 1, kPageSize, 1) == -EINVAL);
  CHECK(map(1, kData, 0, 0, 1) == -EINVAL);
  CHECK(map(1, kData, 0, 100, 1) == -EINVAL);
  CHECK(map(1, kData, 0, kPageSize, 0) == -EINVAL);
  CHECK(map(1, kData, 0, kPageSize, 8) == -EINVAL);
  CHECK(map(1, kData, Guest::kRam, kPageSize, 1) == -EINVAL);
  CHECK(map(1, kData, Guest::kRam - kPageSize, 2 * kPageSize, 1) == -EINVAL);
  CHECK(map(1, kData, ~0xfffULL, kPageSize, 1) == -EINVAL);
  CHECK(map(1, PANDO_USER_TOP - kPageSize, 0, 2 * kPageSize, 1) == -EINVAL);
  CHECK(map(1, PANDO_USER_TOP, 0, kPageSize, 1) == -EINVAL);
  CHECK(map(1, ~0xfffULL, 0, kPageSize, 1) == -EINVAL);
  CHECK(g.spaces.unmap(nullptr, kMm, GuestVirt(5), kPageSize) == -EINVAL);
  CHECK(g.spaces.unmap(nullptr, kMm, GuestVirt(kPageSize), ~0xfffULL) == -EINVAL);
  pando_resync list{};
  list.count = PANDO_RESYNC_MAX + 1;
  list.to = PANDO_USER_TOP;
  CHECK(g.spaces.resync(nullptr, kMm, list) == -EINVAL);
  list.count = 0;
  list.to = 0;
  CHECK(g.spaces.resync(nullptr, kMm, list) == -EINVAL);
  CHECK(g.run(cpu, MmId(0)) == -EINVAL);
  CHECK(g.spaces.free(nullptr, MmId(0)) == -EINVAL);
}

TEST_CASE("stub: a cluster of several nodes: pages are locked while the stub installs them, and given back") {
  const HandOver how = GENERATE(HandOver::Spin, HandOver::Block);
  Guest g({.hand_over = how}, 2);
  TestCpu cpu;
  g.code(load_then_call_start, load_then_call_end);
  for (uint64_t page = 0; page < 8; page++) g.node.word(kDataGpa + page * kPageSize) = page;
  g.node.absent.insert(page_of(GuestPhys(kDataGpa + 5 * kPageSize)));
  g.regs.bx = kData;
  REQUIRE(g.run_with_code(cpu) == PANDO_EXIT_FAULT);
  const int faults = g.node.faults;
  g.node.locks = 0;
  g.map(cpu, kMm, kData, kDataGpa, 8 * kPageSize);
  REQUIRE(g.run_with_code(cpu) == PANDO_EXIT_SYSCALL);
  CHECK(g.node.locks == 5);
  CHECK(g.node.locked_now() == 0);
  CHECK(g.node.unlock_errors == 0);
  CHECK(g.node.faults == faults);
  g.regs.ip = kCode;
  g.regs.bx = kData + 5 * kPageSize;
  REQUIRE(g.run_with_code(cpu) == PANDO_EXIT_SYSCALL);
  CHECK(g.node.faults == faults + 1);
}

}  // namespace
}  // namespace pando::stub::test
