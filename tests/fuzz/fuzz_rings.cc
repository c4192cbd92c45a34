// SPDX-License-Identifier: Apache-2.0
// libFuzzer: what a client writes into the memory that it shares with the agent, against the agent's end of the rings.
//
// An input is a list of steps: a record as a client would post it, bytes written anywhere into rings and their indexes,
// a message of the agent to the client.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "base/error.h"
#include "base/log.h"
#include "base/mapping.h"
#include "dsm/agent/client_link.h"

namespace {

using namespace pando;
using namespace pando::dsm;

constexpr uint32_t kPages = 64;
constexpr int kStepsMax = 128;

struct Reader final : ClientHandler {
  void on_fetches(std::span<const Fetch> fetches) override {
    for (const Fetch& f : fetches) CHECK(f.page.value() < kPages);
  }
  void on_ahead(PageId page) override { CHECK(page.value() < kPages); }
  void on_preloaded(PageId first, uint32_t pages) override { CHECK(first.value() + uint64_t{pages} <= kPages); }
  void on_fabric_out(FabricKind, NodeId to, std::span<const uint8_t> payload) override {
    CHECK(to.value() == 0 && payload.size() <= kFabricPayloadMax);
    for (const uint8_t b : payload) sum += b;
  }
  void on_client_broken(const std::string&) override {}
  void on_host_failure(const std::string& why) override { check_failed(why.c_str(), __FILE__, __LINE__); }
  uint64_t sum = 0;
};

struct Shared {
  SharedNodeRange range{0, kPages * kPageSize};
  uint8_t distance = 10;
  std::string name = "n0";
  ControlMemory control = ControlMemory::create(
      {.nodes = {&range, 1}, .vcpu_node = {}, .distances = {&distance, 1}, .node_names = {&name, 1}});
  RecordRing requests = control.requests(), fabric_out = control.fabric_out();
};

template <class T>
T take(std::span<const uint8_t>& in) {
  T value{};
  const size_t n = std::min(sizeof value, in.size());
  std::memcpy(&value, in.data(), n);
  in = in.subspan(n);
  return value;
}

void scribble(const Shared& s, std::span<const uint8_t>& in) {
  const ControlHeader& h = s.control.header();
  const uint64_t places[] = {h.requests.offset, h.fabric_out.offset, h.fabric_in.offset};
  const auto where = take<uint16_t>(in);
  const auto value = take<uint64_t>(in);
  auto* const ring = reinterpret_cast<uint8_t*>(&s.control.header()) + places[where % 3];
  std::memcpy(ring + (where / 3 % 512) * sizeof value, &value, sizeof value);
}

void step(Shared& s, ClientLink& link, std::span<const uint8_t>& in) {
  const auto kind = take<uint8_t>(in);
  switch (kind % 5) {
    case 0: {
      const auto request = take<PageRequest>(in);
      (void)s.requests.try_push({reinterpret_cast<const uint8_t*>(&request), kind & 128 ? sizeof request - 1 : sizeof request}, {});
      break;
    }
    case 1: {
      const auto header = take<FabricHeader>(in);
      const auto payload = in.first(std::min<size_t>(in.size(), kind));
      (void)s.fabric_out.try_push({reinterpret_cast<const uint8_t*>(&header), sizeof header}, payload);
      break;
    }
    case 2: (void)link.deliver(FabricKind::Ipi, NodeId(0), in.first(std::min<size_t>(in.size(), kind))); break;
    default: scribble(s, in);
  }
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  spdlog::set_level(spdlog::level::off);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::span<const uint8_t> in(data, size);
  Shared shared;
  Reader reader;
  ClientLink link(shared.control, reader, {});
  for (int i = 0; i < kStepsMax && !in.empty(); ++i) step(shared, link, in);
  link.stop();
  return 0;
}
