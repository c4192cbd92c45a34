// SPDX-License-Identifier: Apache-2.0
#include "dsm/agent/address_spaces.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "dsm/client/node_client.h"
#include "tests/catch.h"

using namespace pando;
using namespace pando::dsm;

namespace {

struct SharedNode {
  ControlMemory control;
  std::unique_ptr<NodeClient> client;
};

SharedNode one_node() {
  static const SharedNodeRange kRanges[] = {{0, 1 << 20}};
  static const uint8_t kVcpuNode[] = {0, 0}, kDistances[] = {10};
  static const std::string kNames[] = {"a"};
  ControlConfig c{};
  c.nodes = kRanges;
  c.vcpu_node = kVcpuNode;
  c.distances = kDistances;
  c.node_names = kNames;
  ControlMemory control = ControlMemory::create(c);
  UniqueFd ram(static_cast<int>(check_errno(memfd_create("ram", MFD_CLOEXEC), "memfd_create")));
  check_errno(ftruncate(ram.get(), 1 << 20), "ftruncate");
  auto client = NodeClient::attach(std::move(ram), UniqueFd(dup(control.fd())));
  return {std::move(control), std::move(client)};
}

v1::AddressSpacesReply read(const SharedNode& node) {
  v1::AddressSpacesReply reply;
  read_address_spaces(node.control, reply);
  return reply;
}

}  // namespace

TEST_CASE("address spaces: what the guest announces is read by the agent; the latest word counts") {
  const SharedNode node = one_node();
  CHECK(read(node).spaces().empty());
  node.client->name_address_space({MmId(5), 17, GuestPhys(0x3000), "sh"});
  node.client->name_address_space({MmId(6), 18, GuestPhys(0x4000), "sh"});
  node.client->name_address_space({MmId(6), 18, GuestPhys(0x5000), "program"});
  node.client->set_cpu_area(VcpuId(1), 0x1234000);
  const v1::AddressSpacesReply reply = read(node);
  REQUIRE(reply.spaces_size() == 2);
  CHECK(reply.spaces(0).pid() == 17);
  CHECK(reply.spaces(1).comm() == "program");
  CHECK(reply.spaces(1).page_table() == 0x5000);
  REQUIRE(reply.cpu_areas_size() == 1);
  CHECK(reply.cpu_areas(0).vcpu() == 1);
  CHECK(reply.cpu_areas(0).offset() == 0x1234000);
}

TEST_CASE("address spaces: more than there is room for: the newest stay; long and strange names are tamed") {
  const SharedNode node = one_node();
  const auto slots = static_cast<uint64_t>(node.control.address_spaces().size());
  for (uint64_t mm = 1; mm <= 3 * slots; ++mm)
    node.client->name_address_space({MmId(mm), 1, {}, "a-name-of-more-than-fifteen\x1b[31m"});
  node.client->name_address_space({MmId(3 * slots), 1, {}, "\x1b[31m\xff"});
  const v1::AddressSpacesReply reply = read(node);
  CHECK(static_cast<uint64_t>(reply.spaces_size()) == slots);
  for (const v1::AddressSpace& s : reply.spaces()) {
    CHECK(s.mm() > 2 * slots);
    CHECK((s.comm() == "a-name-of-more-" || s.comm() == "?[31m?"));
  }
}

TEST_CASE("address spaces: a slot that is being written is passed over") {
  const SharedNode node = one_node();
  node.client->name_address_space({MmId(5), 17, {}, "sh"});
  node.control.address_spaces()[5].sequence.fetch_add(1);
  CHECK(read(node).spaces().empty());
}
