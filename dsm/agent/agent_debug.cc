// SPDX-License-Identifier: Apache-2.0
// What the debugger asks of the agent.
#include <algorithm>

#include "dsm/agent/agent.h"
#include "dsm/agent/fault_log.h"

namespace pando::dsm {

// --- debugger (gRPC threads)

bool Agent::debug_to_vmm(std::span<const uint8_t> message) {
  const Machine* machine = machine_view_.load(std::memory_order_acquire);
  if (!machine || !machine->client || vmm_gone_) return false;
  return machine->client->deliver(FabricKind::Debug, config_.self, message);
}

bool Agent::debug_read_page(PageId page, std::span<uint8_t, kPageSize> out) {
  const Machine* machine = machine_view_.load(std::memory_order_acquire);
  if (!machine || page.value() >= machine->control->page_count()) return false;
  PageWord& word = machine->control->word(page);
  uint32_t bits = 0;
  // A VMM that died may have left the lock behind: nobody changes the page then.
  const bool locked = word.try_lock(bits);
  if (!locked && !vmm_gone_) return false;
  if (!locked) bits = word.peek();
  const bool here = PageWord::right_of(bits) != Right::None;
  if (here && (bits & PageWord::kPresent))
    machine->memory->read(page, 1, out.data());
  else
    std::fill(out.begin(), out.end(), uint8_t{0});
  if (locked) word.unlock(bits);
  return here;
}

void Agent::debug_page(PageId page, v1::DebugPage& reply) {
  const Machine* machine = machine_view_.load(std::memory_order_acquire);
  if (!machine || page.value() >= machine->control->page_count()) return;
  const uint32_t bits = machine->control->word(page).peek();
  const PageView view = machine->coherence->view(page);
  reply.set_cache_state(name_of(view.cache.state));
  reply.set_version(view.cache.version.value());
  reply.set_is_home(view.home.has_value());
  reply.set_present(bits & PageWord::kPresent);
  reply.set_mapped(bits & PageWord::kMapped);
  v1::FaultsReply faults;
  read_faults(*machine->control, 0, 0, faults);
  reply.set_faults(static_cast<uint64_t>(std::ranges::count(faults.records(), page.value(), &v1::FaultRecord::page)));
  if (!view.home) return;
  const auto node_of = [](uint8_t n) { return n == DirectoryEntry::kMemory ? -1 : static_cast<int32_t>(n); };
  reply.set_owner(node_of(view.home->owner));
  reply.set_last_writer(node_of(view.home->last_writer));
  reply.set_home_version(view.home->version.value());
  reply.set_busy(view.home_busy);
  for (uint8_t n = 0; n < machine->plan.nodes.size(); ++n)
    if (view.home->sharers.has(NodeId(n))) reply.add_sharers(n);
}

void Agent::debug_node(v1::DebugNode& reply) {
  reply.set_node(config_.self.value());
  reply.set_name(config_.node_name);
  reply.set_vcpus(config_.vcpus);
  const Machine* machine = machine_view_.load(std::memory_order_acquire);
  if (!machine || !machine->control) return;
  const ControlHeader& header = machine->control->header();
  reply.set_vmm_running(machine->vmm && !vmm_gone_);
  reply.set_ram_start(header.nodes[config_.self.value()].start);
  reply.set_ram_bytes(header.nodes[config_.self.value()].bytes);
  uint32_t first = 0;
  while (first < header.vcpu_count && header.vcpu_node[first] != config_.self.value()) ++first;
  reply.set_first_vcpu(first);
}

}  // namespace pando::dsm
