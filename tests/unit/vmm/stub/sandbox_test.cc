// SPDX-License-Identifier: Apache-2.0
// A hostile user program: what it may try with real code in a real stub.  docs/design/0002-stub-sandbox.md, "Attacks".
#include <dirent.h>
#include <linux/futex.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>

#include <csignal>
#include <fstream>
#include <thread>

#include "tests/unit/vmm/stub/guest.h"
#include "vmm/stub/stub_code.h"
#include "vmm/stub/stub_layout.h"
#include "tests/catch.h"

namespace pando::stub::test {
namespace {

constexpr uint64_t kDataGpa = 0x200000, kVictimGpa = 0x300000, kVictimVa = 0x5000000;
constexpr uint64_t kSyscallBytes = 2;

USER_CODE(attack_call, "syscall\n");
USER_CODE(attack_spin, "1: jmp 1b\n");
USER_CODE(attack_load, "movq (%rbx), %rdx\n syscall\n");
USER_CODE(attack_store, "movq %rdx, (%rbx)\n syscall\n");

// Claims to have made a system call, by writing the report page, and runs on: counts in (%rbp).  %rbx = report,
// %rsi = control.
USER_CODE(false_claim,
          "1: lock incq (%rbp)\n"
          "movq $31, 16(%rbx)\n"
          "movq (%rsi), %rax\n"
          "movq %rax, (%rbx)\n"
          "jmp 1b\n");

// Writes %rdi as the proof of a go that was never given and jumps to the instruction that sends it (%rdx).
USER_CODE(early_proof, "lock incq (%rbp)\n movq %rcx, 8(%rbx)\n jmp *%r12\n");

uint64_t syscall_before(const char* label) { return address_in_stub(label) - kSyscallBytes; }

// The registers of a system call made by jumping to the stub's own instruction.
UserRegs jump_to(const char* after_syscall, uint64_t number, std::initializer_list<uint64_t> arguments) {
  UserRegs r{};
  r.ip = syscall_before(after_syscall);
  r.ax = number;
  uint64_t* const places[] = {&r.di, &r.si, &r.dx, &r.r10, &r.r8, &r.r9};
  size_t i = 0;
  for (const uint64_t a : arguments) *places[i++] = a;
  r.sp = kStack;
  r.flags = 0x202;
  // As if a command of the control page were being executed.
  r.r12 = 1;
  r.r13 = STUB_CONTROL + CONTROL_COMMANDS;
  return r;
}

bool was_killed(const Guest& g, long exit) { return exit == PANDO_EXIT_TRAP && g.user.signal == SIGKILL; }

// The program is dead, the address space and the VMM are not.
void require_still_usable(Guest& g, TestCpu& cpu) {
  g.regs = {};
  g.regs.ax = 39;
  g.code(attack_call_start, attack_call_end);
  REQUIRE(g.run_with_code(cpu) == PANDO_EXIT_SYSCALL);
  REQUIRE(g.regs.ax == 39);
}

// Runs once normally, so that all is set up and commands have been executed.
void warm_up(Guest& g, TestCpu& cpu) { require_still_usable(g, cpu); }

TEST_CASE("sandbox: system calls of user code: none reaches the host") {
  Guest g;
  TestCpu cpu;
  g.code(attack_call_start, attack_call_end);
  for (const long number : {SYS_kill, SYS_execve, SYS_exit_group, SYS_munmap, SYS_write, SYS_rt_sigreturn, SYS_fork,
                            SYS_ptrace, SYS_open, SYS_prctl, SYS_rt_sigprocmask}) {
    g.regs = {};
    g.regs.ax = static_cast<uint64_t>(number);
    g.regs.di = 0;
    g.regs.si = PANDO_USER_TOP;
    g.regs.ip = kCode;
    REQUIRE(g.run_with_code(cpu) == PANDO_EXIT_SYSCALL);
    CHECK(g.regs.ax == static_cast<uint64_t>(number));
  }
}

TEST_CASE("sandbox: the stub's syscall instructions: refuse every call but their own") {
  const char* const sites[] = {stub_after_prove,  stub_after_futex, stub_after_mmap,       stub_after_mprotect,
                               stub_after_munmap, stub_after_ioctl, stub_after_arch_prctl, stub_after_done,
                               stub_after_exit};
  Guest g;
  TestCpu cpu;
  warm_up(g, cpu);
  for (const char* site : sites) {
    for (const long number : {SYS_open, SYS_openat, SYS_kill, SYS_tgkill, SYS_execve, SYS_ptrace, SYS_clone, SYS_fork,
                              SYS_socket, SYS_mremap, SYS_rt_sigprocmask, SYS_rt_sigaction, SYS_sigaltstack,
                              SYS_userfaultfd, SYS_memfd_create, SYS_seccomp, SYS_process_vm_readv, SYS_pidfd_getfd}) {
      g.regs = jump_to(site, static_cast<uint64_t>(number), {1, 0, 0});
      CHECK(was_killed(g, g.run(cpu)));
    }
  }
  require_still_usable(g, cpu);
}

TEST_CASE("sandbox: calls with forbidden arguments: end the process before they are made") {
  Guest g;
  TestCpu cpu;
  warm_up(g, cpu);
  constexpr uint64_t kShared = MAP_SHARED | MAP_FIXED, kPage = kPageSize;
  constexpr uint64_t kPayload = STUB_REPORT + REPORT_PAYLOAD;
  const UserRegs attacks[] = {
      // The stub's own pages, directly and by ranges that reach them.
      jump_to(stub_after_mmap, SYS_mmap, {STUB_CODE, kPage, 7, kShared, STUB_FD_RAM, 0}),
      jump_to(stub_after_mmap, SYS_mmap, {STUB_CONTROL, kPage, 3, kShared, STUB_FD_RAM, 0}),
      jump_to(stub_after_mmap, SYS_mmap, {PANDO_USER_TOP - kPage, 1ULL << 41, 7, kShared, STUB_FD_RAM, 0}),
      jump_to(stub_after_mprotect, SYS_mprotect, {STUB_CONTROL, kPage, 3}),
      jump_to(stub_after_mprotect, SYS_mprotect, {STUB_CODE, kPage, 7}),
      jump_to(stub_after_munmap, SYS_munmap, {STUB_CODE, kPage}),
      jump_to(stub_after_munmap, SYS_munmap, {STUB_CONTROL, 2 * kPage}),
      jump_to(stub_after_munmap, SYS_munmap, {0, STUB_END}),
      // Other kinds of memory, other descriptors.
      jump_to(stub_after_mmap, SYS_mmap, {kVictimVa, kPage, 3, MAP_PRIVATE | MAP_FIXED, STUB_FD_RAM, 0}),
      jump_to(stub_after_mmap, SYS_mmap, {kVictimVa, kPage, 3, MAP_ANONYMOUS | kShared, STUB_FD_RAM, 0}),
      jump_to(stub_after_mmap, SYS_mmap, {kVictimVa, kPage, 3, kShared | MAP_POPULATE, STUB_FD_RAM, 0}),
      jump_to(stub_after_mmap, SYS_mmap, {kVictimVa, kPage, 3, kShared, STUB_FD_UFFD, 0}),
      // Page contents and coherence.
      jump_to(stub_after_ioctl, SYS_ioctl, {STUB_FD_UFFD, UFFDIO_ZEROPAGE, kPayload}),
      jump_to(stub_after_ioctl, SYS_ioctl, {STUB_FD_UFFD, UFFDIO_COPY, kPayload}),
      jump_to(stub_after_ioctl, SYS_ioctl, {STUB_FD_UFFD, UFFDIO_UNREGISTER, kPayload}),
      jump_to(stub_after_ioctl, SYS_ioctl, {STUB_FD_UFFD, UFFDIO_CONTINUE, kData}),
      jump_to(stub_after_ioctl, SYS_ioctl, {STUB_FD_PIPE, UFFDIO_CONTINUE, kPayload}),
      // What the VMM hears.
      jump_to(stub_after_prove, SYS_write, {STUB_FD_PIPE, kData, 8}),
      jump_to(stub_after_prove, SYS_write, {STUB_FD_RAM, STUB_REPORT + REPORT_PROOF, 8}),
      jump_to(stub_after_futex, SYS_futex, {STUB_REPORT, FUTEX_WAIT, 0, 0}),
      jump_to(stub_after_futex, SYS_futex, {STUB_CONTROL + CONTROL_ATTENTION, FUTEX_WAKE, 1, 0}),
  };
  for (const UserRegs& attack : attacks) {
    g.regs = attack;
    INFO("rip " << attack.ip << " rdi " << attack.di << " rsi " << attack.si);
    CHECK(was_killed(g, g.run(cpu)));
  }
  require_still_usable(g, cpu);
}

TEST_CASE("sandbox: another process's memory, mapped by a jump to the stub's mmap: the process is dead before it looks") {
  Guest g;
  TestCpu cpu;
  warm_up(g, cpu);
  g.node.word(kVictimGpa) = 0x5ec3e7;
  constexpr uint64_t kShared = MAP_SHARED | MAP_FIXED;
  g.regs = jump_to(stub_after_mmap, SYS_mmap, {kVictimVa, kPageSize, 3, kShared, STUB_FD_RAM, kVictimGpa});
  CHECK(was_killed(g, g.run(cpu)));
  // With the trap flag: the trap after the call shows the stub's page.
  g.regs = jump_to(stub_after_mmap, SYS_mmap, {kVictimVa, kPageSize, 3, kShared, STUB_FD_RAM, kVictimGpa});
  g.regs.flags |= 0x100;
  CHECK(was_killed(g, g.run(cpu)));
  // With a forged command block: in user memory, and behind the valid ones of the control page.
  for (const uint64_t block : {kData, uint64_t{STUB_REPORT}, uint64_t{STUB_CONTROL + CONTROL_COMMANDS + 20 * 128}}) {
    g.regs = jump_to(stub_after_mmap, SYS_mmap, {kVictimVa, kPageSize, 3, kShared, STUB_FD_RAM, kVictimGpa});
    g.regs.r13 = block;
    CHECK(was_killed(g, g.run(cpu)));
  }
  require_still_usable(g, cpu);
}

TEST_CASE("sandbox: a command that has been superseded: cannot be executed again") {
  Guest g;
  TestCpu cpu;
  g.code(attack_store_start, attack_store_end);
  g.regs.bx = kData;
  REQUIRE(g.run_with_code(cpu) == PANDO_EXIT_FAULT);
  g.map(cpu, kMm, kData, kDataGpa);
  REQUIRE(g.run(cpu) == PANDO_EXIT_SYSCALL);
  g.spaces.unmap(&cpu.run, kMm, GuestVirt(kData), kPageSize);
  for (uint64_t slot = 0; slot < STUB_COMMANDS_MAX; slot++) {
    g.regs = jump_to(stub_after_mmap, SYS_mmap, {kData, kPageSize, 3, MAP_SHARED | MAP_FIXED, STUB_FD_RAM, kDataGpa});
    g.regs.r13 = STUB_CONTROL + CONTROL_COMMANDS + slot * COMMAND_BYTES;
    REQUIRE(was_killed(g, g.run(cpu)));
    warm_up(g, cpu);
  }
}

TEST_CASE("sandbox: a stop that is only claimed: user code is stopped before an unmap or a free returns") {
  enum class Way { Unmap, Free };
  const Way way = GENERATE(Way::Unmap, Way::Free);
  Guest g({.hand_over = HandOver::Spin, .spin_rounds = 10'000'000, .unresponsive_ms = 3000});
  TestCpu cpu;
  g.code(false_claim_start, false_claim_end);
  g.regs.bp = kData;
  g.regs.bx = STUB_REPORT;
  g.regs.si = STUB_CONTROL;
  REQUIRE(g.run_with_code(cpu) == PANDO_EXIT_FAULT);
  g.map(cpu, kMm, kData, kDataGpa);
  // Who looks late sleeps, sees no claim and has to be interrupted.
  long exit = PANDO_EXIT_INTERRUPT;
  {
    const KickTimer timer(cpu, 10);
    for (int i = 0; i < 50 && exit == PANDO_EXIT_INTERRUPT; i++) {
      cpu.pending = 0;
      exit = g.run(cpu);
    }
  }
  cpu.pending = 0;
  CHECK(exit != PANDO_EXIT_INTERRUPT);  // the false claim was taken for a stop
  uint64_t* counter = &g.node.word(kDataGpa);
  if (way == Way::Unmap) g.spaces.unmap(nullptr, kMm, GuestVirt(kData), kPageSize);
  if (way == Way::Free) g.spaces.free(nullptr, kMm);
  const uint64_t after = __atomic_load_n(counter, __ATOMIC_SEQ_CST);
  for (int i = 0; i < 2000; i++) sched_yield();
  CHECK(__atomic_load_n(counter, __ATOMIC_SEQ_CST) == after);
  require_still_usable(g, cpu);
}

TEST_CASE("sandbox: a proof sent before its go: is not believed") {
  Guest g({.hand_over = HandOver::Block});
  TestCpu cpu;
  g.code(early_proof_start, early_proof_end);
  g.regs = jump_to(stub_after_prove, SYS_write, {STUB_FD_PIPE, STUB_REPORT + REPORT_PROOF, 8});
  g.regs.r12 = g.regs.ip;
  g.regs.ip = kCode;
  g.regs.bp = kData;
  g.regs.bx = STUB_REPORT;
  g.regs.cx = 0x1234567;
  REQUIRE(g.run_with_code(cpu) == PANDO_EXIT_FAULT);
  g.map(cpu, kMm, kData, kDataGpa);
  cpu.pending = 1;  // the stub runs on with its old frame and is stopped by the kick
  const long exit = g.run(cpu);
  CHECK((exit == PANDO_EXIT_INTERRUPT || was_killed(g, exit)));
  cpu.pending = 0;
  require_still_usable(g, cpu);
}

TEST_CASE("sandbox: a program that blocks the signal that stops it: is killed after the time-out") {
  Guest g({.unresponsive_ms = 200});
  TestCpu cpu;
  g.code(attack_spin_start, attack_spin_end);
  // Its own signal frame, with all signals blocked, for the stub's rt_sigreturn.
  auto* uc = reinterpret_cast<ucontext_t*>(g.node.at(kDataGpa));
  uc->uc_mcontext.gregs[REG_RIP] = kCode;
  uc->uc_mcontext.gregs[REG_CSGSFS] = 0x33 | 0x2bULL << 48;
  uc->uc_mcontext.gregs[REG_EFL] = 0x202;
  std::memset(reinterpret_cast<uint8_t*>(uc) + offsetof(ucontext_t, uc_sigmask), 0xff, 8);
  g.regs = jump_to(stub_after_sigreturn, SYS_rt_sigreturn, {});
  g.regs.sp = kData;
  g.map(cpu, kMm, kData, kDataGpa);
  long exit = PANDO_EXIT_FAULT;
  auto timer = std::make_unique<KickTimer>(cpu, 50);
  for (int i = 0; i < 6 && exit != PANDO_EXIT_TRAP; i++) {
    exit = g.run(cpu);
    if (exit != PANDO_EXIT_FAULT) continue;
    g.map(cpu, kMm, page_floor(g.user.address), g.user.address < kData ? g.code_gpa : kDataGpa, kPageSize, 7);
  }
  CHECK(was_killed(g, exit));
  timer.reset();
  cpu.pending = 0;
  require_still_usable(g, cpu);
}

TEST_CASE("sandbox: a signal stack moved by a forged sigreturn: the next stop is recognised as foreign") {
  Guest g;
  TestCpu cpu;
  g.code(attack_call_start, attack_call_end);
  auto* uc = reinterpret_cast<ucontext_t*>(g.node.at(kDataGpa));
  uc->uc_stack = {reinterpret_cast<void*>(kData), 0, 16 * kPageSize};
  uc->uc_mcontext.gregs[REG_RIP] = kCode;
  uc->uc_mcontext.gregs[REG_RSP] = kStack;
  uc->uc_mcontext.gregs[REG_CSGSFS] = 0x33 | 0x2bULL << 48;
  uc->uc_mcontext.gregs[REG_EFL] = 0x202;
  for (uint64_t page = 0; page < 16; page++) g.node.word(kDataGpa + page * kPageSize + 4088) = 1;
  warm_up(g, cpu);
  g.map(cpu, kMm, kData, kDataGpa, 16 * kPageSize);
  g.regs = jump_to(stub_after_sigreturn, SYS_rt_sigreturn, {});
  g.regs.sp = kData;
  CHECK(was_killed(g, g.run(cpu)));
  CHECK(g.spaces.counters().violations >= 1);
  require_still_usable(g, cpu);
}

TEST_CASE("sandbox: a stack pointer in the stub's signal stack: the stop is recognised as foreign") {
  Guest g;
  TestCpu cpu;
  warm_up(g, cpu);
  g.regs = {};
  g.regs.ip = kCode;
  g.regs.sp = STUB_STACK + STUB_STACK_BYTES / 2;
  CHECK(was_killed(g, g.run(cpu)));
  require_still_usable(g, cpu);
}

TEST_CASE("sandbox: the control and code pages: cannot be written") {
  Guest g;
  TestCpu cpu;
  for (const uint64_t target : {uint64_t{STUB_CONTROL}, uint64_t{STUB_CODE}, uint64_t{STUB_CONTROL + 4096}}) {
    g.code(attack_store_start, attack_store_end);
    g.regs.bx = target;
    REQUIRE(g.run_with_code(cpu) == PANDO_EXIT_FAULT);
    CHECK(g.user.address == target);
    CHECK((g.user.error & 2) != 0);
  }
}

TEST_CASE("sandbox: rubbish in the report page and the signal stack: harms nobody but its author") {
  Guest g;
  TestCpu cpu;
  // Stores %rdx over the whole of both, then makes a system call.
  warm_up(g, cpu);
  for (const uint64_t rubbish : {~0ULL, 0ULL, 0x710000000000ULL, 31ULL}) {
    for (uint64_t at = STUB_REPORT; at < STUB_REPORT + 128; at += 8) {
      g.code(attack_store_start, attack_store_end);
      g.regs = {};
      g.regs.ip = kCode;
      g.regs.sp = kStack;
      g.regs.bx = at;
      g.regs.dx = rubbish;
      const long exit = g.run_with_code(cpu);
      CHECK((exit == PANDO_EXIT_SYSCALL || exit == PANDO_EXIT_TRAP || exit == PANDO_EXIT_FAULT));
    }
  }
  require_still_usable(g, cpu);
}

TEST_CASE("sandbox: what a process left in its stub: is gone when the stub serves another one") {
  Guest g;
  TestCpu cpu;
  warm_up(g, cpu);
  g.code(attack_store_start, attack_store_end);
  g.regs.bx = STUB_STACK + 64;
  g.regs.dx = 0x5ec3e7;
  REQUIRE(g.run_with_code(cpu) == PANDO_EXIT_SYSCALL);
  g.regs.bx = STUB_REPORT + 256;
  g.regs.ip = kCode;
  REQUIRE(g.run_with_code(cpu) == PANDO_EXIT_SYSCALL);
  g.map(cpu, kMm, kVictimVa, kVictimGpa);
  REQUIRE(g.spaces.free(&cpu.run, kMm) == 0);

  for (const uint64_t at : {uint64_t{STUB_STACK + 64}, uint64_t{STUB_REPORT + 256}}) {
    g.code(attack_load_start, attack_load_end);
    g.regs.bx = at;
    REQUIRE(g.run_with_code(cpu, MmId(2)) == PANDO_EXIT_SYSCALL);
    CHECK(g.regs.dx == 0);
  }
  g.code(attack_load_start, attack_load_end);
  g.regs.bx = kVictimVa;
  CHECK(g.run_with_code(cpu, MmId(2)) == PANDO_EXIT_FAULT);
  CHECK(g.spaces.counters().stubs_made == 1);
}

// Processes below `ancestor` that are stubs.
std::vector<int> stub_pids(int ancestor) {
  std::vector<int> found;
  DIR* proc = opendir("/proc");
  const auto parent_of = [](int pid) {
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    std::string skip;
    int parent = 0;
    stat >> skip >> skip >> skip >> parent;
    return parent;
  };
  while (const dirent* entry = readdir(proc)) {
    const int pid = std::atoi(entry->d_name);
    if (pid <= 0) continue;
    std::ifstream comm("/proc/" + std::to_string(pid) + "/comm");
    std::string name;
    comm >> name;
    if (name == "pando-stub" && parent_of(parent_of(pid)) == ancestor) found.push_back(pid);
  }
  closedir(proc);
  return found;
}

TEST_CASE("sandbox: a stub process: has three descriptors, no capability, its pages and guest RAM alone") {
  Guest g;
  TestCpu cpu;
  warm_up(g, cpu);
  const std::vector<int> pids = stub_pids(getpid());
  REQUIRE(pids.size() == 1);
  const std::string proc = "/proc/" + std::to_string(pids[0]);
  DIR* fds = opendir((proc + "/fd").c_str());
  REQUIRE(fds != nullptr);
  int count = 0;
  while (const dirent* entry = readdir(fds)) count += entry->d_name[0] != '.';
  closedir(fds);
  CHECK(count == 3);
  std::ifstream status(proc + "/status");
  std::string text{std::istreambuf_iterator<char>(status), {}};
  CHECK_THAT(text, Catch::Matchers::ContainsSubstring("CapEff:\t0000000000000000"));
  CHECK_THAT(text, Catch::Matchers::ContainsSubstring("NoNewPrivs:\t1"));
  CHECK_THAT(text, Catch::Matchers::ContainsSubstring("Seccomp:\t2"));
  std::ifstream maps(proc + "/maps");
  for (std::string line; std::getline(maps, line);) {
    INFO(line);
    const uint64_t start = std::stoull(line, nullptr, 16);
    CHECK((start < PANDO_USER_TOP || (start >= STUB_CODE && start < STUB_END) ||
           line.find("[vsyscall]") != std::string::npos));
  }
}

TEST_CASE("sandbox: a stub killed from outside: its process gets SIGKILL, a new stub serves what runs next") {
  Guest g;
  TestCpu cpu;
  warm_up(g, cpu);
  for (const int pid : stub_pids(getpid())) kill(pid, SIGKILL);
  g.regs.ip = kCode;
  CHECK(was_killed(g, g.run(cpu)));
  require_still_usable(g, cpu);
}

TEST_CASE("sandbox: the VMM is killed: no stub and no nursery survives") {
  int ready[2];
  REQUIRE(pipe(ready) == 0);
  const pid_t vmm = fork();
  if (vmm == 0) {
    Guest g;
    TestCpu cpu;
    g.code(attack_call_start, attack_call_end);
    const bool ok = g.run_with_code(cpu) == PANDO_EXIT_SYSCALL;
    (void)!write(ready[1], ok ? "y" : "n", 1);
    g.code(attack_spin_start, attack_spin_end);
    g.regs.ip = kCode;
    g.spaces.unmap(nullptr, kMm, GuestVirt(kCode), kPageSize);
    g.run_with_code(cpu);  // for ever
    _exit(0);
  }
  char answer = 0;
  REQUIRE(read(ready[0], &answer, 1) == 1);
  CHECK(answer == 'y');
  const std::vector<int> pids = stub_pids(vmm);
  REQUIRE(pids.size() == 1);
  const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, pids[0], 0));
  REQUIRE(pidfd >= 0);
  kill(vmm, SIGKILL);
  waitpid(vmm, nullptr, 0);
  pollfd gone{pidfd, POLLIN, 0};
  CHECK(poll(&gone, 1, 10000) == 1);
  close(pidfd);
  close(ready[0]);
  close(ready[1]);
}

}  // namespace
}  // namespace pando::stub::test
