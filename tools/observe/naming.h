// SPDX-License-Identifier: Apache-2.0
// Names for what fault records have as numbers: kernel symbols, per-CPU variables, processes, instructions.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "proto/observe.pb.h"
#include "tools/observe/hot_places.h"
#include "tools/observe/kernel_image.h"

namespace pando::observe {

struct Process {
  uint32_t pid = 0;
  std::string comm;
};

class Naming {
 public:
  // `image` may be nullptr: then addresses stay numbers.  Both must outlive this.
  Naming(const v1::Recording& recording, const KernelImage* image);

  // "tasklist_lock", "runqueues (cpu 1)+0x940", "lock_fight[31] 0x4c5320", "guest page 0x1234".
  std::string of_address(uint64_t address, uint64_t mm) const;
  std::string of_place(const Place& place) const;
  // Whether the name says whose it is: a process, a symbol; not so the kernel's heap.
  bool is_named(uint64_t address, uint64_t mm) const;
  std::string of_code(const Code& code) const;
  std::string of_node(uint32_t node) const;
  std::optional<Process> process(uint64_t mm) const;

  // Takes or gives a lock: one of the kernel's lock functions, or a read-modify-write instruction of user code.
  bool is_lock(const Code& code) const;

 private:
  std::string kernel_address(uint64_t address) const;
  std::optional<std::string> kernel_symbol(uint64_t address) const;
  bool is_kernel_lock(uint64_t rip) const;

  const KernelImage* image_;
  std::map<uint64_t, Process> processes_;
  std::map<uint32_t, std::string> nodes_;
  std::map<Code, bool> atomic_;       // user instructions that were looked at
  std::map<uint64_t, uint32_t> cpu_areas_;  // offset -> vCPU
  uint64_t cpu_area_start_ = 0, cpu_area_end_ = 0;
  uint64_t boot_only_start_ = 0, boot_only_end_ = 0;
  uint64_t lock_text_start_ = 0, lock_text_end_ = 0;
};

// True if the bytes begin with an instruction that reads and writes memory as one step: a lock prefix, or xchg.
bool is_atomic_instruction(std::string_view bytes);

}  // namespace pando::observe
