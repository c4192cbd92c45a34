// SPDX-License-Identifier: Apache-2.0
#include "dsm/shm/control_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <new>
#include <string>

#include "base/error.h"

namespace pando::dsm {

namespace {

constexpr uint64_t kRequestsBytes = 64 * 1024;
constexpr uint64_t kFabricBytes = 1024 * 1024;
constexpr uint32_t kFaultRecords = 8192;
constexpr uint32_t kAddressSpaces = 2048;

struct Places {
  uint64_t words, times, requests, fabric_out, fabric_in, records, spaces, total;
};

Places place(uint64_t pages) {
  Places p{};
  uint64_t at = kPageSize;
  const auto take = [&](uint64_t bytes) {
    const uint64_t here = at;
    at = page_ceil(at + bytes);
    return here;
  };
  p.words = take(pages * sizeof(PageWord));
  p.times = take(pages * sizeof(uint32_t));
  p.requests = take(sizeof(SharedRingIndex) + kRequestsBytes);
  p.fabric_out = take(sizeof(SharedRingIndex) + kFabricBytes);
  p.fabric_in = take(sizeof(SharedRingIndex) + kFabricBytes);
  p.records = take(kFaultRecords * sizeof(SharedFaultRecord));
  p.spaces = take(kAddressSpaces * sizeof(SharedAddressSpace));
  p.total = at;
  return p;
}

void fill_in(ControlHeader& h, const ControlConfig& config, const Places& p, uint64_t ram_bytes) {
  h.magic = kControlMagic;
  h.version = kControlVersion;
  h.header_bytes = sizeof(ControlHeader);
  h.total_bytes = p.total;
  h.ram_bytes = ram_bytes;
  h.page_words_offset = p.words;
  h.install_times_offset = p.times;
  h.requests = {p.requests, kRequestsBytes};
  h.fabric_out = {p.fabric_out, kFabricBytes};
  h.fabric_in = {p.fabric_in, kFabricBytes};
  h.fault_records_offset = p.records;
  h.fault_records_count = kFaultRecords;
  h.address_spaces_offset = p.spaces;
  h.address_spaces_count = kAddressSpaces;
  h.node_count = static_cast<uint32_t>(config.nodes.size());
  h.vcpu_count = static_cast<uint32_t>(config.vcpu_node.size());
  h.self = config.self.value();
  h.send_limit_ms = config.send_limit_ms;
  h.host_nodes = 1;
  h.fault_around_pages = config.fault_around_pages;
  h.spin_ns = config.spin_ns;
  h.hold_min_ns = config.hold_min_ns;
  h.hold_adaptive = config.hold_adaptive;
  std::ranges::copy(config.nodes, h.nodes);
  std::ranges::copy(config.vcpu_node, h.vcpu_node);
  std::ranges::copy(config.distances, h.distances);
  for (size_t i = 0; i < config.node_names.size(); ++i)
    config.node_names[i].copy(h.node_names[i], kNodeNameMax - 1);
}

void require(bool good, const std::string& what) {
  if (!good) throw UserError("control memory: " + what);
}

bool is_power_of_two(uint64_t n) { return n != 0 && (n & (n - 1)) == 0; }

// Everything a client computes addresses from.
void check_header(const ControlHeader& h, uint64_t file_bytes) {
  require(h.magic == kControlMagic, "no magic number: not made by a Pando agent");
  require(h.version == kControlVersion, "it has version " + std::to_string(h.version) + ", this program speaks " +
                                            std::to_string(kControlVersion) + ": use one release of Pando");
  require(h.header_bytes == sizeof(ControlHeader) && h.total_bytes == file_bytes, "sizes do not fit");
  require(h.ram_bytes % kPageSize == 0 && h.ram_bytes != 0 && h.ram_bytes >> kPageShift <= UINT32_MAX, "RAM size");
  require(h.node_count >= 1 && h.node_count <= kNodesMax && h.self < h.node_count, "node count");
  require(h.vcpu_count <= kVcpusMax, "vCPU count");
  require(is_power_of_two(h.fault_around_pages) && h.fault_around_pages <= 64, "fault-around window");
  const auto inside = [&](uint64_t offset, uint64_t bytes) {
    return offset % 64 == 0 && offset <= file_bytes && bytes <= file_bytes - offset;
  };
  const uint64_t pages = h.ram_bytes >> kPageShift;
  require(inside(h.page_words_offset, pages * sizeof(PageWord)), "page words");
  require(inside(h.install_times_offset, pages * sizeof(uint32_t)), "install times");
  for (const SharedRingPlace& r : {h.requests, h.fabric_out, h.fabric_in})
    require(is_power_of_two(r.data_bytes) && r.data_bytes <= file_bytes &&
                inside(r.offset, sizeof(SharedRingIndex) + r.data_bytes), "rings");
  require(is_power_of_two(h.fault_records_count) &&
              inside(h.fault_records_offset, uint64_t{h.fault_records_count} * sizeof(SharedFaultRecord)),
          "fault records");
  require(is_power_of_two(h.address_spaces_count) &&
              inside(h.address_spaces_offset, uint64_t{h.address_spaces_count} * sizeof(SharedAddressSpace)),
          "address spaces");
  uint64_t at = 0;
  for (uint32_t i = 0; i < h.node_count; ++i) {
    require(h.nodes[i].start == at && h.nodes[i].bytes % kPageSize == 0, "node ranges");
    at += h.nodes[i].bytes;
  }
  require(at == h.ram_bytes, "node ranges do not add up");
}

}  // namespace

ControlMemory::ControlMemory(UniqueFd fd, Mapping map) : fd_(std::move(fd)), map_(std::move(map)) {
  const ControlHeader& h = header();
  page_count_ = static_cast<uint32_t>(h.ram_bytes >> kPageShift);
  words_ = reinterpret_cast<PageWord*>(map_.data() + h.page_words_offset);
  times_ = reinterpret_cast<uint32_t*>(map_.data() + h.install_times_offset);
  records_ = {reinterpret_cast<SharedFaultRecord*>(map_.data() + h.fault_records_offset), h.fault_records_count};
  spaces_ = {reinterpret_cast<SharedAddressSpace*>(map_.data() + h.address_spaces_offset), h.address_spaces_count};
  requests_ = h.requests;
  fabric_out_ = h.fabric_out;
  fabric_in_ = h.fabric_in;
}

ControlMemory ControlMemory::create(const ControlConfig& config) {
  const size_t nodes = config.nodes.size();
  CHECK(nodes >= 1 && nodes <= kNodesMax && config.vcpu_node.size() <= kVcpusMax);
  CHECK(config.distances.size() == nodes * nodes && config.node_names.size() == nodes);
  const uint64_t ram_bytes = config.nodes.back().start + config.nodes.back().bytes;
  const Places p = place(ram_bytes >> kPageShift);
  UniqueFd fd(static_cast<int>(check_errno(memfd_create("pando-control", MFD_CLOEXEC | MFD_ALLOW_SEALING),
                                           "memfd_create for control memory")));
  check_errno(ftruncate(fd.get(), static_cast<off_t>(p.total)), "ftruncate of control memory");
  check_errno(fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), "sealing control memory");
  Mapping map = Mapping::shared_file(fd.get(), p.total, PROT_READ | PROT_WRITE);
  fill_in(*new (map.data()) ControlHeader{}, config, p, ram_bytes);
  return ControlMemory(std::move(fd), std::move(map));
}

ControlMemory ControlMemory::attach(UniqueFd fd) {
  struct stat st {};
  check_errno(fstat(fd.get(), &st), "fstat of control memory");
  const auto bytes = static_cast<uint64_t>(st.st_size);
  require(bytes >= kPageSize, "too short");
  Mapping map = Mapping::shared_file(fd.get(), bytes, PROT_READ | PROT_WRITE);
  check_header(*reinterpret_cast<const ControlHeader*>(map.data()), bytes);
  return ControlMemory(std::move(fd), std::move(map));
}

RecordRing ControlMemory::ring(const SharedRingPlace& place, Doorbell& consumer) const {
  uint8_t* index = map_.data() + place.offset;
  return {reinterpret_cast<SharedRingIndex*>(index), index + sizeof(SharedRingIndex), place.data_bytes, &consumer};
}

RecordRing ControlMemory::requests() const { return ring(requests_, header().agent_doorbell); }
RecordRing ControlMemory::fabric_out() const { return ring(fabric_out_, header().agent_doorbell); }
RecordRing ControlMemory::fabric_in() const { return ring(fabric_in_, header().client_doorbell); }

}  // namespace pando::dsm
