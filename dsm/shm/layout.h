// SPDX-License-Identifier: Apache-2.0
// Control memory: what the agent and the programs that map guest RAM (the VMM) share besides guest RAM itself.
//
// One memfd, made and filled in by the agent, mapped by both.  Each side treats what the other may write as hostile:
// reads once, checks, then uses.  Offsets are bytes from the start of the memfd.
//
//   header            one page: sizes, offsets, cluster layout, and the words that change at run time
//   page words        one PageWord per page of guest RAM (page_word.h)
//   install times     one u32 per page: when its hold window began, CLOCK_MONOTONIC >> kInstallTimeShift; the client
//                     writes it when it has mapped a granted page, later than now for a longer window
//   requests          RecordRing client -> agent: PageRequest
//   fabric out        RecordRing client -> agent: FabricHeader + payload
//   fabric in         RecordRing agent -> client: FabricHeader + payload
//   fault records     ring of the last remote faults, written by the client, read by the agent
//   address spaces    whose the numbers in fault records are; slot = mm modulo the count, written by the client
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/types.h"

namespace pando::dsm {

inline constexpr uint64_t kControlMagic = 0x6c7274636f646e70;  // "pndoctrl"
inline constexpr uint32_t kControlVersion = 5;
inline constexpr size_t kNodeNameMax = 16;  // with the NUL
inline constexpr uint32_t kInstallTimeShift = 10;

struct SharedNodeRange {
  uint64_t start;  // guest-physical
  uint64_t bytes;
};

// Where a RecordRing lies (record_ring.h): a SharedRingIndex, then `data_bytes` of data, a power of two.
struct SharedRingPlace {
  uint64_t offset;
  uint64_t data_bytes;
};
struct SharedRingIndex {
  alignas(64) std::atomic<uint64_t> reserved;  // producers: bytes ever reserved
  alignas(64) std::atomic<uint64_t> consumed;  // consumer: bytes ever given back
  std::atomic<uint32_t> space_count;           // consumer counts up when it gave space back and `space_wanted` was set
  std::atomic<uint32_t> space_wanted;          // producers sleep on `space_count`
};

// The consumer sleeps on `count` after it has said so in `asleep`; a producer counts up, then looks at `asleep`
// (both sequentially consistent, so that one of them sees the other).
struct Doorbell {
  std::atomic<uint32_t> count;
  std::atomic<uint32_t> asleep;
};

struct ControlHeader {
  uint64_t magic;
  uint32_t version;
  uint32_t header_bytes;
  uint64_t total_bytes;
  uint64_t ram_bytes;
  uint64_t page_words_offset;
  uint64_t install_times_offset;
  SharedRingPlace requests;
  SharedRingPlace fabric_out;
  SharedRingPlace fabric_in;
  uint64_t fault_records_offset;
  uint32_t fault_records_count;  // power of two
  uint32_t node_count;
  uint32_t vcpu_count;
  uint32_t self;
  uint32_t send_limit_ms;        // a full fabric ring is an error after this long
  uint32_t fault_around_pages;   // power of two
  uint32_t spin_ns;              // a waiting thread looks this long before it sleeps
  uint32_t hold_min_ns;          // HoldPolicyOptions::window_min_ns
  uint32_t hold_adaptive;        // 0: the window is always hold_min_ns
  uint32_t address_spaces_count;  // power of two
  uint64_t address_spaces_offset;
  SharedNodeRange nodes[kNodesMax];
  uint8_t vcpu_node[kVcpusMax];
  uint8_t distances[kNodesMax * kNodesMax];  // node_count x node_count, row by row
  char node_names[kNodesMax][kNodeNameMax];  // NUL-terminated

  // Written at run time.
  alignas(64) std::atomic<int64_t> clock_offset_ns;  // agent writes
  std::atomic<uint32_t> ended;                       // agent: 1 when the cluster has ended; all waits give up
  std::atomic<uint32_t> host_nodes;                  // agent: nodes on this host, this one included
  alignas(64) Doorbell agent_doorbell;               // requests and fabric out
  alignas(64) Doorbell client_doorbell;              // fabric in
  alignas(64) std::atomic<uint64_t> fault_sequence;  // client: records written so far
  std::atomic<uint32_t> waiting_threads;             // client: that wait for a page, or were woken and have not run yet
  std::atomic<int64_t> fetch_ns;                     // client: FetchTime estimate (dsm/core/hold_policy.h)
  std::atomic<int64_t> round_trip_ns;                // agent: to the slowest peer and back
  std::atomic<uint64_t> cpu_area_offset[kVcpusMax];  // client: of its own vCPUs' per-CPU variables, 0 = not known
};
static_assert(sizeof(ControlHeader) <= kPageSize);
static_assert(std::atomic<uint32_t>::is_always_lock_free && std::atomic<uint64_t>::is_always_lock_free);

// What a client asks of the agent.
enum class RequestKind : uint8_t {
  Fetch = 1,     // page word has the matching Asked bit
  Preloaded = 2, // pages [page, page + count) were filled with content that is the same on all nodes
  Ahead = 3,     // a reader has come to the page, whose word had kAhead: the next run is due.  May get lost
};
struct PageRequest {
  RequestKind kind;
  uint8_t write;  // Fetch: 1 = the right to write is needed
  uint16_t vcpu;
  uint32_t page;
  uint32_t count;
  uint32_t posted_ns;  // Fetch: CLOCK_MONOTONIC, low 32 bits, for the histogram "post"
};
static_assert(sizeof(PageRequest) == 16);

struct FabricHeader {
  uint16_t kind;
  uint8_t peer;  // fabric out: destination; fabric in: sender
  uint8_t reserved;
  uint32_t bytes;
};
static_assert(sizeof(FabricHeader) == 8);

// A record is valid when both sequence words equal its number + 1 (written last / read around the copy).
struct SharedFaultRecord {
  std::atomic<uint64_t> sequence_begin;
  int64_t monotonic_ns;
  uint64_t address;
  uint64_t rip;
  uint64_t mm;
  uint64_t wait_ns;
  uint32_t page;
  uint16_t vcpu;
  uint8_t write;
  uint8_t user;
  std::atomic<uint64_t> sequence_end;
};
static_assert(sizeof(SharedFaultRecord) == 64);

inline constexpr size_t kCommMax = 16;  // with the NUL

// A guest address space, as the guest's kernel announced it.  `sequence` is odd while the slot is being written.
struct SharedAddressSpace {
  std::atomic<uint32_t> sequence;
  uint32_t pid;
  uint64_t mm;  // 0: empty
  uint64_t page_table;  // guest-physical
  char comm[kCommMax];
  uint64_t reserved[3];
};
static_assert(sizeof(SharedAddressSpace) == 64);

}  // namespace pando::dsm
