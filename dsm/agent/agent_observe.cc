// SPDX-License-Identifier: Apache-2.0
// What `pando top`, `trace` and `report` ask of the agent (gRPC threads).
#include <array>
#include <cstring>

#include "dsm/agent/address_spaces.h"
#include "dsm/agent/agent.h"

namespace pando::dsm {

namespace {

const char* name_of_fabric(uint32_t kind) {
  switch (static_cast<FabricKind>(kind)) {
    case FabricKind::Ipi: return "Ipi";
    case FabricKind::VcpuStart: return "VcpuStart";
    case FabricKind::MmUnmap: return "MmUnmap";
    case FabricKind::MmResync: return "MmResync";
    case FabricKind::MmFree: return "MmFree";
    case FabricKind::KernelUnmap: return "KernelUnmap";
    case FabricKind::Ack: return "Ack";
    default: return "?";
  }
}

const char* name_of_type(const v1::TraceEvent& event) {
  switch (event.kind()) {
    case v1::TRACE_PAGE_SENT:
    case v1::TRACE_PAGE_RECEIVED: return name_of(static_cast<MessageType>(event.type()));
    case v1::TRACE_FABRIC_SENT:
    case v1::TRACE_FABRIC_RECEIVED: return name_of_fabric(event.type());
    default: return "";
  }
}

}  // namespace

void Agent::trace_fabric(v1::TraceKind kind, NodeId peer, FabricKind type, std::span<const uint8_t> payload) {
  if (!trace_.on()) return;
  TraceRing::Event event{.kind = kind, .peer = peer, .type = static_cast<uint16_t>(type)};
  std::memcpy(&event.detail, payload.data(), std::min(payload.size(), sizeof event.detail));
  trace_.add(event);
}

void Agent::address_spaces(v1::AddressSpacesReply& reply) {
  const Machine* machine = machine_view_.load(std::memory_order_acquire);
  if (machine && machine->control) read_address_spaces(*machine->control, reply);
}

void Agent::trace(const v1::TraceRequest& request, v1::TraceReply& reply) {
  if (request.set() == v1::TRACE_OFF) trace_.switch_off();
  if (request.set() == v1::TRACE_ON) trace_.switch_on();
  trace_.read(request.since_sequence(), request.events_max(), reply);
  for (v1::TraceEvent& event : *reply.mutable_events()) event.set_type_name(name_of_type(event));
}

void Agent::peek(const v1::PeekRequest& request, v1::PeekReply& reply) {
  std::array<uint8_t, kPageSize> page;
  if (request.page() > UINT32_MAX || request.offset() > kPageSize || request.bytes() > kPageSize - request.offset()) return;
  if (!debug_read_page(PageId(static_cast<uint32_t>(request.page())), page)) return;
  reply.set_here(true);
  reply.set_data(page.data() + request.offset(), request.bytes());
}

}  // namespace pando::dsm
