// SPDX-License-Identifier: Apache-2.0
#include "vmm/stub/stub_process.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>

#include "base/error.h"
#include "vmm/stub/birth.h"
#include "vmm/stub/stub_code.h"

namespace pando::stub {

namespace {

constexpr int kProofPatienceMs = 2;
constexpr int kProofLooks = 30;  // system calls

template <class T>
T read_once(const T& hostile) {
  return __atomic_load_n(&hostile, __ATOMIC_ACQUIRE);
}

void pause_cpu() { __builtin_ia32_pause(); }

}  // namespace

uint64_t Nonces::next() {
  if (left_ == 0) {
    const ssize_t got = getrandom(stock_.data(), sizeof stock_, 0);
    CHECK(got == static_cast<ssize_t>(sizeof stock_));
    left_ = stock_.size();
  }
  return stock_[--left_];
}

StubProcess::StubProcess(NewStub born)
    : pid_(born.pid),
      pidfd_(std::move(born.pidfd)),
      pipe_(std::move(born.pipe)),
      uffd_(dsm::Uffd::adopt(std::move(born.uffd))),
      memory_(Mapping::shared_file(born.memory.get(), STUB_MEMORY_BYTES, PROT_READ | PROT_WRITE)) {
  await_birth();
}

StubProcess::~StubProcess() { kill(); }

void StubProcess::kick() const { syscall(SYS_pidfd_send_signal, pidfd_.get(), STUB_KICK, nullptr, 0); }
void StubProcess::kill() const { syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0); }

int64_t StubProcess::cpu_ns() const {
  constexpr clockid_t kCpuOfProcess = 2;  // CPUCLOCK_SCHED; clock_getcpuclockid(3) makes a system call for this
  timespec t{};
  clock_gettime((~static_cast<clockid_t>(pid_) << 3) | kCpuOfProcess, &t);
  return t.tv_sec * 1'000'000'000 + t.tv_nsec;
}

// The stub stops by itself first, with go = 0; until then failures come through the pipe.
void StubProcess::await_birth() {
  BirthReport word{};
  static_assert(sizeof word == sizeof(uint64_t));
  ssize_t got = 0;
  do {
    got = read(pipe_.get(), &word, sizeof word);
  } while (got < 0 && errno == EINTR);
  if (got != sizeof word) throw HostError("start of a stub process (seccomp or munmap refused)", ECHILD);
  if (word.step != BirthStep::Alive) throw_birth_failure(word);
  const Report first = report();
  if (first.signal != SIGILL) throw HostError("first trap of a stub process", EPROTO);
  first_context_ = first.context;
}

bool StubProcess::claimed() const { return read_once(hostile()->claim) == go_; }

void StubProcess::go(const Go& go) {
  stub_control* c = control();
  c->count = go.commands;
  c->after = go.after;
  c->spin = go.spin;
  spins_ = go.spin != 0;
  if (go.after == STUB_TELL) c->done = done_ = nonces_.next();
  go_ = nonces_.next();
  __atomic_store_n(&c->go, go_, __ATOMIC_RELEASE);
  attend();
}

bool StubProcess::attend() {
  stub_control* c = control();
  __atomic_store_n(&c->attention, ++attention_, __ATOMIC_SEQ_CST);  // partner: the stub's mfence before it sleeps
  if (read_once(hostile()->sleeps) == 0) return false;
  syscall(SYS_futex, &c->attention, FUTEX_WAKE, 1, nullptr, nullptr, 0);
  return true;
}

void StubProcess::stop_spinning() { __atomic_store_n(&control()->spin, 0, __ATOMIC_RELAXED); }

StubProcess::Read StubProcess::read_pipe() {
  uint64_t words[64];
  const ssize_t got = read(pipe_.get(), words, sizeof words);
  if (got == 0) return Read::Died;
  if (got < 0) {
    if (errno == EINTR) return Read::Other;
    throw HostError("read of a stub's pipe", errno);
  }
  Read result = Read::Other;
  for (size_t i = 0; i < static_cast<size_t>(got) / sizeof(uint64_t); i++) {
    if (words[i] == go_) return stops_unread_ = 0, Read::Proof;  // implies that it is done, too
    if (done_ != 0 && words[i] == done_) result = Read::Done;
  }
  return result;
}

Stop StubProcess::wait_stop(uint32_t rounds, const std::function<void()>* on_done) {
  const auto done = [&] {
    if (on_done != nullptr) (*on_done)();
    on_done = nullptr;
    done_ = 0;
  };
  stub_control* c = control();
  if (++stops_unread_ >= kStopsUnreadMax) rounds = 0;
  for (uint32_t i = 0; i < rounds; i++) {
    if (claimed()) {
      done();
      return Stop::Claimed;
    }
    if (on_done != nullptr && read_once(hostile()->executed) == go_) done();
    pause_cpu();
  }
  __atomic_store_n(&c->vmm_sleeps, 1, __ATOMIC_SEQ_CST);  // partner: the stub's xchg of claim
  Read read = Read::Other;
  const bool seen = claimed();
  while (!seen && read != Read::Proof && read != Read::Died) {
    read = read_pipe();
    if (read == Read::Done) done();
  }
  __atomic_store_n(&c->vmm_sleeps, 0, __ATOMIC_RELAXED);
  if (read == Read::Died) return Stop::Died;
  done();
  if (!seen) return Stop::Proven;
  // Who has claimed may have gone to wait without a word, and only answers when asked.
  return stops_unread_ < kStopsUnreadMax ? Stop::Claimed : prove();
}

Stop StubProcess::prove() {
  stub_control* c = control();
  __atomic_store_n(&c->ask, go_, __ATOMIC_RELEASE);
  attend();
  // Who answers not at once may be user code that only pretends to be stopped.  An honest stub takes the signal when
  // it runs again, which costs one stop for nothing.
  pollfd answer{pipe_.get(), POLLIN, 0};
  int ready = 0;
  // Where the stub has a CPU of its own the answer is there sooner than a thread wakes up.
  for (int look = 0; spins_ && ready == 0 && look < kProofLooks; look++) ready = poll(&answer, 1, 0);
  if (ready == 0 && poll(&answer, 1, kProofPatienceMs) == 0) kick();
  Read read = Read::Other;
  while (read != Read::Proof && read != Read::Died) read = read_pipe();
  return read == Read::Died ? Stop::Died : Stop::Proven;
}

void StubProcess::end() {
  kill();
  while (read_pipe() != Read::Died) {
  }
}

StubProcess::Report StubProcess::report() const {
  const stub_report* r = hostile();
  return {read_once(r->signal), read_once(r->info), read_once(r->context), read_once(r->fs), read_once(r->gs)};
}

// Not `claim`, `proof` and `sleeps`: the stub may be using them, and they tell nothing.
void StubProcess::wipe_report() {
  uint8_t* page = reinterpret_cast<uint8_t*>(hostile());
  std::memset(page + REPORT_SIGNAL, 0, REPORT_SLEEPS - REPORT_SIGNAL);
  std::memset(page + REPORT_EXECUTED, 0, STUB_STACK - STUB_REPORT - REPORT_EXECUTED);
}

void StubProcess::set_bases(uint64_t fs, uint64_t gs) {
  control()->fs = fs;
  control()->gs = gs;
}

}  // namespace pando::stub
