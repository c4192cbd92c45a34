// SPDX-License-Identifier: Apache-2.0
#include "tools/observe/naming.h"

#include <guest_abi/layout.h>

#include <algorithm>
#include <array>
#include <cstdio>

namespace pando::observe {

namespace {

std::string hex(uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

// Functions of kernel/locking and lib that are locks but do not lie in .spinlock.text.
constexpr std::array kLockFunctions = {
    "queued_spin_lock_slowpath", "native_queued_spin_lock_slowpath", "queued_read_lock_slowpath",
    "queued_write_lock_slowpath", "osq_lock", "osq_unlock", "mutex_lock", "mutex_unlock", "mutex_trylock",
    "mutex_lock_interruptible", "mutex_lock_killable", "mutex_spin_on_owner", "down_read", "down_read_killable",
    "down_read_trylock", "down_read_interruptible", "down_write", "down_write_killable", "down_write_trylock", "up_read",
    "up_write", "downgrade_write", "rwsem_down_read_slowpath", "rwsem_down_write_slowpath", "rwsem_spin_on_owner",
    "rwsem_mark_wake", "down", "up", "down_trylock", "_atomic_dec_and_lock", "_atomic_dec_and_lock_irqsave",
    "refcount_dec_and_lock", "refcount_dec_and_mutex_lock", "lockref_get", "lockref_put_return", "lockref_put_or_lock",
    "lockref_get_not_dead", "lockref_get_not_zero", "percpu_down_write", "percpu_up_write", "__percpu_down_read"};

bool is_lock_function(std::string name) {
  name = name.substr(0, name.find('.'));  // "f.isra.0", "f.constprop.1"
  for (const char* prefix : {"__mutex_", "__down_", "__up_", "__rwsem_", "rt_mutex_", "__rt_mutex_"})
    if (name.starts_with(prefix)) return true;
  return std::ranges::find(kLockFunctions, name) != kLockFunctions.end();
}

}  // namespace

// Intel SDM volume 2, 2.1: legacy prefixes in any order, then REX, then the opcode.
bool is_atomic_instruction(std::string_view bytes) {
  size_t at = 0;
  for (; at < bytes.size(); ++at) {
    const auto b = static_cast<uint8_t>(bytes[at]);
    if (b == 0xf0) return true;
    if (b != 0x66 && b != 0x67 && b != 0xf2 && b != 0xf3 && b != 0x2e && b != 0x36 && b != 0x3e && b != 0x26 &&
        b != 0x64 && b != 0x65)
      break;
  }
  if (at < bytes.size() && (static_cast<uint8_t>(bytes[at]) & 0xf0) == 0x40) ++at;
  if (at + 1 >= bytes.size()) return false;
  const auto opcode = static_cast<uint8_t>(bytes[at]), modrm = static_cast<uint8_t>(bytes[at + 1]);
  return (opcode == 0x86 || opcode == 0x87) && modrm < 0xc0;  // xchg with memory locks by itself
}

Naming::Naming(const v1::Recording& recording, const KernelImage* image) : image_(image) {
  for (const v1::RecordedNode& node : recording.nodes()) {
    nodes_[node.id()] = node.name();
    for (const v1::AddressSpace& space : node.spaces().spaces()) processes_[space.mm()] = {space.pid(), space.comm()};
    for (const v1::CpuArea& area : node.spaces().cpu_areas()) cpu_areas_[area.offset()] = area.vcpu();
  }
  for (const v1::RecordedCode& code : recording.code())
    atomic_[{code.rip(), code.mm()}] = is_atomic_instruction(code.bytes());
  if (!image_) return;
  cpu_area_start_ = image_->address_of("__per_cpu_start").value_or(0);
  cpu_area_end_ = image_->address_of("__per_cpu_end").value_or(0);
  boot_only_start_ = image_->address_of("__init_begin").value_or(0);
  boot_only_end_ = image_->address_of("__init_end").value_or(0);
  lock_text_start_ = image_->address_of("__lock_text_start").value_or(0);
  lock_text_end_ = image_->address_of("__lock_text_end").value_or(0);
}

std::string Naming::of_node(uint32_t node) const {
  const auto it = nodes_.find(node);
  return it == nodes_.end() ? std::to_string(node) : it->second;
}

std::optional<Process> Naming::process(uint64_t mm) const {
  const auto it = processes_.find(mm);
  return it == processes_.end() ? std::nullopt : std::optional(it->second);
}

std::optional<std::string> Naming::kernel_symbol(uint64_t address) const {
  for (const auto& [offset, vcpu] : cpu_areas_) {
    const uint64_t original = address - offset;
    if (!image_ || original < cpu_area_start_ || original >= cpu_area_end_) continue;
    const auto place = image_->find(original);
    if (!place) break;
    const std::string name = place->symbol + " (cpu " + std::to_string(vcpu) + ")";
    return place->offset == 0 ? name : name + "+" + hex(place->offset);
  }
  // What only the boot needs, and the template of the per-CPU areas: pages of anything else since then.
  if (address >= boot_only_start_ && address < boot_only_end_) return std::nullopt;
  if (image_ && image_->find(address)) return image_->describe(address);
  return std::nullopt;
}

std::string Naming::kernel_address(uint64_t address) const {
  if (const auto symbol = kernel_symbol(address)) return *symbol;
  if (address >= PANDO_VMALLOC_START && address < PANDO_VMALLOC_END) return "vmalloc " + hex(address);
  if (address >= PANDO_RAM_BASE) return "kernel page " + hex((address - PANDO_RAM_BASE) >> 12) + "+" + hex(address & 4095);
  return hex(address);
}

std::string Naming::of_address(uint64_t address, uint64_t mm) const {
  if (mm == 0) return kernel_address(address);
  const auto owner = process(mm);
  if (!owner) return "address space " + std::to_string(mm) + " " + hex(address);
  return owner->comm + "[" + std::to_string(owner->pid) + "] " + hex(address);
}

bool Naming::is_named(uint64_t address, uint64_t mm) const {
  return mm != 0 || kernel_symbol(address).has_value();
}

std::string Naming::of_place(const Place& place) const {
  if (place.pages > 1) {
    std::string text = of_address(place.first_address, place.mm);
    return text + " .. " + hex(place.last_address) + " (" + std::to_string(place.pages) + " pages)";
  }
  if (place.words.empty()) return of_address(place.first_address, place.mm);
  const Word& hottest = place.words.front();
  // A user's page may have been touched by the kernel most: then its lowest user address names it better.
  return of_address(place.mm != 0 && !hottest.user ? place.first_address : hottest.address, place.mm);
}

std::string Naming::of_code(const Code& code) const {
  if (code.mm == 0) return image_ ? image_->describe(code.rip) : hex(code.rip);
  const auto owner = process(code.mm);
  return (owner ? owner->comm : "mm " + std::to_string(code.mm)) + ":" + hex(code.rip);
}

bool Naming::is_kernel_lock(uint64_t rip) const {
  if (!image_) return false;
  if (rip >= lock_text_start_ && rip < lock_text_end_) return true;
  const auto place = image_->find(rip);
  return place && place->code && is_lock_function(place->symbol);
}

bool Naming::is_lock(const Code& code) const {
  if (code.mm == 0) return is_kernel_lock(code.rip);
  const auto it = atomic_.find(code);
  return it != atomic_.end() && it->second;
}

}  // namespace pando::observe
