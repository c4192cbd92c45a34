// SPDX-License-Identifier: Apache-2.0
// Memory of a cluster as the debugger sees it: guest-physical pages from any node, virtual addresses by the guest's
// own page tables.
#include <guest_abi/layout.h>

#include <algorithm>
#include <cstring>

#include "tools/gdb/cluster_target.h"
#include "tools/observe/page_walk.h"

namespace pando::gdb {

namespace {

using dsm::DebugOperation;
using dsm::DebugWhere;

constexpr size_t kPagesMax = 4096;  // kept: 16 MiB
constexpr size_t kFramesMax = 32;   // of a stack that are looked at

}  // namespace

// From what the node holds, without moving the page; else through its VMM, which fetches it.
bool ClusterTarget::fetch(PageId page, size_t node, PageBytes& out) {
  const uint64_t address = address_of(page).value();
  for (const DebugOperation operation : {DebugOperation::ReadHeld, DebugOperation::ReadPhysical}) {
    const auto reply = nodes_[node].link->ask(operation, 0, address, kPageSize);
    if (!reply || reply->status() != 0 || reply->data().size() != kPageSize) continue;
    std::memcpy(out.data(), reply->data().data(), kPageSize);
    return true;
  }
  return false;
}

const ClusterTarget::PageBytes* ClusterTarget::page(PageId page, size_t preferred) {
  const auto known = pages_.find(page.value());
  if (known != pages_.end()) return &known->second;
  if (address_of(page).value() >= ram_bytes_ || nodes_.empty()) return nullptr;
  if (pages_.size() >= kPagesMax) pages_.clear();
  PageBytes bytes;
  // The preferred node first; the others matter when its VMM is dead and does not hold the page.
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (!fetch(page, (preferred + i) % nodes_.size(), bytes)) continue;
    return &(pages_[page.value()] = bytes);
  }
  return nullptr;
}

bool ClusterTarget::read_physical(GuestPhys address, std::span<uint8_t> out, size_t preferred) {
  for (size_t done = 0; done < out.size();) {
    const uint64_t at = address.value() + done;
    const size_t bytes = std::min<uint64_t>(out.size() - done, kPageSize - at % kPageSize);
    const PageBytes* content = page(page_of(GuestPhys(at)), preferred);
    if (!content) return false;
    std::memcpy(out.data() + done, content->data() + at % kPageSize, bytes);
    done += bytes;
  }
  return true;
}

// Inside one page.
bool ClusterTarget::write_physical(GuestPhys address, std::span<const uint8_t> bytes, size_t preferred) {
  if (address.value() >= ram_bytes_) return false;
  pages_.erase(page_of(address).value());
  const std::string data(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  for (size_t i = 0; i < nodes_.size(); ++i) {
    const size_t node = (preferred + i) % nodes_.size();
    const auto reply = nodes_[node].link->ask(DebugOperation::WritePhysical, 0, address.value(), 0, data);
    if (reply && reply->status() == 0) return true;
  }
  return false;
}

// What lies under breakpoints is changed there.
bool ClusterTarget::write_around_breakpoints(GuestPhys at, std::span<const uint8_t> bytes, size_t preferred) {
  std::vector<uint8_t> content(bytes.begin(), bytes.end());
  bool any = false;
  for (auto& [address, breakpoint] : breakpoints_) {
    const uint64_t offset = breakpoint.at.value() - at.value();
    if (offset >= content.size()) continue;
    breakpoint.original = bytes[offset];
    content[offset] = dsm::kBreakpointOpcode;
    any = true;
  }
  return (!any || send_breakpoints()) && write_physical(at, content, preferred);
}

bool ClusterTarget::in_direct_map(uint64_t address) const { return address - PANDO_RAM_BASE < ram_bytes_; }

template <class T>
std::optional<T> ClusterTarget::peek(uint64_t address, size_t preferred) {
  T value{};
  if (!in_direct_map(address) ||
      !read_physical(GuestPhys(address - PANDO_RAM_BASE), {reinterpret_cast<uint8_t*>(&value), sizeof value}, preferred))
    return std::nullopt;
  return value;
}

std::optional<GuestPhys> ClusterTarget::translate_user(const VcpuState& vcpu, GuestVirt address) {
  const auto& info = image_.debug_info();
  if (!info) return std::nullopt;
  const auto mm = peek<uint64_t>(vcpu.state.current_task + info->task_mm, vcpu.node);
  if (!mm || *mm == 0) return std::nullopt;
  const auto top = peek<uint64_t>(*mm + info->mm_pgd, vcpu.node);
  if (!top || !in_direct_map(*top)) return std::nullopt;
  return observe::walk_page_tables(GuestPhys(*top - PANDO_RAM_BASE), address,
                          [&](GuestPhys at) { return peek<uint64_t>(at.value() + PANDO_RAM_BASE, vcpu.node); });
}

// User and kernel addresses overlap: each is tried first where it is meant.
std::optional<GuestPhys> ClusterTarget::translate(VcpuId id, GuestVirt address) {
  const VcpuState* vcpu = find(id);
  const uint64_t va = address.value();
  const bool in_user_code = vcpu && vcpu->state.where == DebugWhere::User;
  if (in_user_code)
    if (const auto at = translate_user(*vcpu, address)) return at;
  if (in_direct_map(va)) return GuestPhys(va - PANDO_RAM_BASE);
  const size_t node = vcpu ? vcpu->node : 0;
  if (va >= PANDO_VMALLOC_START && va < PANDO_VMALLOC_END && image_.debug_info())
    return observe::walk_page_tables(GuestPhys(image_.debug_info()->kernel_pgd - PANDO_RAM_BASE), address,
                            [&](GuestPhys at) { return peek<uint64_t>(at.value() + PANDO_RAM_BASE, node); });
  return vcpu && !in_user_code ? translate_user(*vcpu, address) : std::nullopt;
}

size_t ClusterTarget::read_memory(VcpuId vcpu, GuestVirt address, std::span<uint8_t> out) {
  const size_t node = find(vcpu) ? find(vcpu)->node : 0;
  size_t done = 0;
  while (done < out.size()) {
    const uint64_t va = address.value() + done;
    const size_t bytes = std::min<uint64_t>(out.size() - done, kPageSize - va % kPageSize);
    const auto at = translate(vcpu, GuestVirt(va));
    if (!at || !read_physical(*at, out.subspan(done, bytes), node)) break;
    hide_breakpoints(*at, out.subspan(done, bytes));
    done += bytes;
  }
  return done;
}

bool ClusterTarget::write_memory(VcpuId vcpu, GuestVirt address, std::span<const uint8_t> bytes) {
  if (ended_ && ended_->reason == StopReason::Dead) return false;
  const size_t node = find(vcpu) ? find(vcpu)->node : 0;
  for (size_t done = 0; done < bytes.size();) {
    const uint64_t va = address.value() + done;
    const size_t piece = std::min<uint64_t>(bytes.size() - done, kPageSize - va % kPageSize);
    const auto at = translate(vcpu, GuestVirt(va));
    if (!at || !write_around_breakpoints(*at, bytes.subspan(done, piece), node)) return false;
    done += piece;
  }
  return true;
}

// The one that is inside panic(), by the chain of frame pointers.
VcpuId ClusterTarget::panicked_vcpu() {
  for (const auto& [id, vcpu] : vcpus_) {
    if (vcpu.state.where != DebugWhere::Kernel) continue;
    const auto registers = read_registers(VcpuId(id));
    uint64_t frame = registers ? registers->general[kRbp] : 0;
    for (size_t depth = 0; depth < kFramesMax; ++depth) {
      const auto return_address = peek<uint64_t>(frame + sizeof frame, vcpu.node);
      const auto place = return_address ? image_.find(*return_address) : std::nullopt;
      if (place && place->symbol == "panic") return VcpuId(id);
      frame = peek<uint64_t>(frame, vcpu.node).value_or(0);
    }
  }
  return any_vcpu();
}

std::string ClusterTarget::task_of(const VcpuState& vcpu) {
  switch (vcpu.state.where) {
    case DebugWhere::NotStarted: return "not started";
    case DebugWhere::Running: return "did not stop";
    default: break;
  }
  const std::string what = vcpu.state.where == DebugWhere::User ? "user code of" : "kernel code,";
  const auto& info = image_.debug_info();
  if (!info) return what + " task unknown: the kernel image has no debugger's note";
  const auto pid = peek<uint32_t>(vcpu.state.current_task + info->task_pid, vcpu.node);
  const auto name = peek<std::array<char, 16>>(vcpu.state.current_task + info->task_comm, vcpu.node);
  if (!pid || !name) return what + " no task yet";
  return what + " pid " + std::to_string(*pid) + " (" + std::string(name->data(), strnlen(name->data(), 16)) + ")";
}

}  // namespace pando::gdb
