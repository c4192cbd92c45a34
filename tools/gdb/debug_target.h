// SPDX-License-Identifier: Apache-2.0
// What GDB debugs: a machine of virtual CPUs, all stopped or running together ("all-stop").
//
// The protocol engine (session.h) knows nothing else of Pando; tests put a simulated machine behind it.  Calls come
// from one thread, and block: their waits are bounded.  Registers and memory are asked for while the machine is
// stopped.  What cannot be done is said by the result, never thrown.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.h"
#include "tools/gdb/registers.h"

namespace pando::gdb {

struct ThreadInfo {
  VcpuId vcpu{};
  std::string name;    // "cpu3 (node b)"
  std::string detail;  // "user code of pid 17 (bash)"
};

enum class StopReason : uint8_t {
  Asked,       // stop() or a debugger that has just come
  Breakpoint,  // RIP is the breakpoint's address
  Step,
  Panic,   // the guest has panicked: can be read and written, does not go on
  Dead,    // a VMM has died: memory can be read, nothing else
  Ended,   // the guest has powered off: `code` is its exit status
  Lost,    // a node or the whole cluster went away
};

struct StopEvent {
  StopReason reason = StopReason::Asked;
  VcpuId vcpu{};
  uint32_t code = 0;
  std::string text{};  // for the user; may be empty
};

enum class Action : uint8_t { Continue, Step };
struct VcpuAction {
  VcpuId vcpu{};
  Action action = Action::Continue;
};

class DebugTarget {
 public:
  virtual ~DebugTarget() = default;

  // Stops the machine for a debugger that has just come; nullopt if it cannot be reached.
  virtual std::optional<StopEvent> attach() = 0;
  // Takes breakpoints out and lets the machine run; the debugger is gone.
  virtual void detach() = 0;
  // Ends the machine by force.
  virtual void kill() = 0;

  virtual std::vector<ThreadInfo> threads() = 0;

  virtual std::optional<Registers> read_registers(VcpuId vcpu) = 0;
  virtual bool write_registers(VcpuId vcpu, const Registers& registers) = 0;
  // Virtual memory as `vcpu` sees it now.  Returns how many bytes from the start could be read.
  virtual size_t read_memory(VcpuId vcpu, GuestVirt address, std::span<uint8_t> out) = 0;
  // All or nothing per page.
  virtual bool write_memory(VcpuId vcpu, GuestVirt address, std::span<const uint8_t> bytes) = 0;
  // Breakpoint, for all virtual CPUs; memory reads as if it were not there.  Setting one twice, or taking out one that is not there, is fine.
  virtual bool insert_breakpoint(VcpuId vcpu, GuestVirt address) = 0;
  virtual bool remove_breakpoint(VcpuId vcpu, GuestVirt address) = 0;

  // Those that are not named stay stopped.  A stop of the machine follows, told by take_stop(); at once if the guest
  // has panicked.  False: nothing can run any more.
  virtual bool resume(std::span<const VcpuAction> actions) = 0;
  // Asks a running machine to stop; told by take_stop().
  virtual void interrupt() = 0;
  // The stop of the whole machine, once it is complete.
  virtual std::optional<StopEvent> take_stop() = 0;

  // `monitor COMMAND`: text for the user.
  virtual std::string monitor(std::string_view command) = 0;
};

}  // namespace pando::gdb
