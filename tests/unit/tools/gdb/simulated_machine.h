// SPDX-License-Identifier: Apache-2.0
// A machine behind the protocol engine, for its tests: a few virtual CPUs, 64 KiB of memory, nothing runs by itself.
#pragma once

#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <utility>

#include "tools/gdb/debug_target.h"

namespace pando::gdb::test {

class SimulatedMachine : public DebugTarget {
 public:
  static constexpr uint64_t kBase = 0x60000000;

  explicit SimulatedMachine(uint16_t vcpus) : memory(0x10000) {
    for (uint16_t i = 0; i < vcpus; ++i) {
      Registers r;
      for (size_t k = 0; k < r.general.size(); ++k) r.general[k] = 0x1000u * (i + 1u) + k;
      r.fs_base = 0xf5000000u + i;
      registers.push_back(r);
    }
  }

  std::optional<StopEvent> attach() override { return StopEvent{}; }
  void detach() override { detached = true; }
  void kill() override { killed = true; }
  std::vector<ThreadInfo> threads() override {
    std::vector<ThreadInfo> list;
    for (uint16_t i = 0; i < registers.size(); ++i)
      list.push_back({VcpuId(i), "cpu" + std::to_string(i) + " (node " + (i % 2 ? "b" : "a") + ")", "<idle> & \"x\""});
    return list;
  }
  std::optional<Registers> read_registers(VcpuId v) override {
    if (v.value() >= registers.size()) return std::nullopt;
    return registers[v.value()];
  }
  bool write_registers(VcpuId v, const Registers& r) override {
    if (v.value() >= registers.size()) return false;
    registers[v.value()] = r;
    return true;
  }
  size_t read_memory(VcpuId, GuestVirt at, std::span<uint8_t> out) override {
    const uint64_t offset = at.value() - kBase;
    if (offset >= memory.size()) return 0;
    const size_t bytes = std::min<uint64_t>(out.size(), memory.size() - offset);
    std::memcpy(out.data(), memory.data() + offset, bytes);
    return bytes;
  }
  bool write_memory(VcpuId, GuestVirt at, std::span<const uint8_t> in) override {
    const uint64_t offset = at.value() - kBase;
    if (offset >= memory.size() || in.size() > memory.size() - offset) return false;
    std::memcpy(memory.data() + offset, in.data(), in.size());
    return true;
  }
  bool insert_breakpoint(VcpuId, GuestVirt at) override {
    if (at.value() - kBase >= memory.size()) return false;
    breakpoints.insert(at.value());
    return true;
  }
  bool remove_breakpoint(VcpuId, GuestVirt at) override {
    breakpoints.erase(at.value());
    return at.value() - kBase < memory.size();
  }
  bool resume(std::span<const VcpuAction> actions) override {
    if (read_only) return false;
    resumed.assign(actions.begin(), actions.end());
    return true;
  }
  void interrupt() override { ++interrupts; }
  std::optional<StopEvent> take_stop() override { return std::exchange(stop, std::nullopt); }
  std::string monitor(std::string_view command) override { return "you said " + std::string(command); }

  std::vector<uint8_t> memory;
  std::vector<Registers> registers;
  std::set<uint64_t> breakpoints;
  std::vector<VcpuAction> resumed;
  std::optional<StopEvent> stop;
  int interrupts = 0;
  bool detached = false, killed = false, read_only = false;
};

}  // namespace pando::gdb::test
