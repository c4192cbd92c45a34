// SPDX-License-Identifier: Apache-2.0
// One stub process, as the VMM drives it: let it run, wait for its stop, prove that it is parked.
//
// A stop comes in two grades.  Claimed: the report page says so; user code can write that page, so nothing that must
// hold against a hostile program may rest on it.  Proven: the stub's own code wrote the current `go` to the pipe and
// waits for the next one; user code of this stub does not run until go() is called.
//
// Not thread-safe, but for kick() and kill().
#pragma once

#include <sched.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>

#include "base/mapping.h"
#include "base/unique_fd.h"
#include "dsm/client/node_client.h"
#include "vmm/stub/nursery.h"
#include "vmm/stub/signal_frame.h"
#include "vmm/stub/stub_layout.h"

namespace pando::stub {

// Random numbers that a stub cannot foresee.
class Nonces {
 public:
  uint64_t next();

 private:
  std::array<uint64_t, 32> stock_{};  // 256 bytes: what getrandom(2) gives without interruption
  size_t left_ = 0;
};

enum class Stop : uint8_t { Claimed, Proven, Died };

class StubProcess {
 public:
  // A proof that crosses with a claim that the VMM has seen stays in the pipe; the limit is far below its capacity.
  static constexpr uint32_t kStopsUnreadMax = 1024;

  // Takes a new-born stub and waits for its first trap.  Throws HostError, UserError.
  explicit StubProcess(NewStub born);
  ~StubProcess();
  StubProcess(const StubProcess&) = delete;
  StubProcess& operator=(const StubProcess&) = delete;

  // Where this process's first frame lies; the same for all stubs of a host.
  uint64_t first_context() const { return first_context_; }
  uint8_t* stack() const { return memory_.data() + (STUB_STACK - STUB_CONTROL); }
  const dsm::Uffd& uffd() const { return uffd_; }

  // Commands of the next go().
  stub_command* commands() const { return control()->command; }

  struct Go {
    uint32_t commands = 0;
    uint32_t after = STUB_RESUME;
    uint32_t spin = 0;  // rounds of the stub when it stops next
  };
  void go(const Go& go);

  // Where the stub may run.  A hint: failures do not matter.
  void place(const cpu_set_t& cpus) const { sched_setaffinity(pid_, sizeof cpus, &cpus); }
  // The stub sleeps at once instead of spinning for its next go().  Any thread.
  void stop_spinning();

  // Waits for the end of go(): spins `rounds` times, then sleeps.  `on_done`: called once when the commands of a go
  // with STUB_TELL are executed, or seen to be executed while spinning.  Every kStopsUnreadMax-th claim is proven here.
  Stop wait_stop(uint32_t rounds, const std::function<void()>* on_done = nullptr);
  // After Stop::Claimed: demands the proof.  Claimed is never the answer.
  Stop prove();

  // The commands of the last go() are void from now on: the stub dies if it executes one.
  void void_commands() { __atomic_store_n(&control()->count, 0, __ATOMIC_SEQ_CST); }

  // What the stub says about its stop; each field read once.
  struct Report {
    uint64_t signal, info, context, fs, gs;
  };
  Report report() const;
  void set_bases(uint64_t fs, uint64_t gs);
  void set_frame(uint32_t context_offset) { control()->frame = context_offset; }
  void enable_fsgsbase() { control()->fsgsbase = 1; }
  bool fsgsbase() const { return control()->fsgsbase != 0; }
  // Forgets what the program of the previous address space left.
  void wipe_report();

  // What it has run so far.  0: it is gone.
  int64_t cpu_ns() const;
  void kick() const;  // async-signal-safe, any thread
  void kill() const;  // any thread; ends every wait with Died
  // Kills it and waits until it is gone.
  void end();

 private:
  stub_control* control() const { return reinterpret_cast<stub_control*>(memory_.data()); }
  stub_report* hostile() const {
    return reinterpret_cast<stub_report*>(memory_.data() + (STUB_REPORT - STUB_CONTROL));
  }
  bool claimed() const;
  bool attend();  // true: the stub slept and was woken
  enum class Read : uint8_t { Proof, Done, Other, Died };
  Read read_pipe();
  void await_birth();

  const pid_t pid_;  // for placement and CPU time alone; signals go through the pidfd
  UniqueFd pidfd_;
  UniqueFd pipe_;
  dsm::Uffd uffd_;
  Mapping memory_;
  Nonces nonces_;
  uint64_t go_ = 0;
  uint64_t done_ = 0;
  uint32_t attention_ = 0;
  uint64_t first_context_ = 0;
  uint32_t stops_unread_ = 0;  // stops whose proof may lie in the pipe unread
  bool spins_ = false;  // it was given a CPU of its own
};

}  // namespace pando::stub
