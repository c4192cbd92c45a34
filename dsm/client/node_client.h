// SPDX-License-Identifier: Apache-2.0
// dsm/client: what the VMM (or any program that maps the cluster's memory) sees of the DSM.
//
// One NodeClient per process, made from the two descriptors that the agent hands over: the guest-RAM memfd and the
// control memfd (layout: dsm/shm/layout.h).  The agent decides which node may hold a page; this side maps pages, takes
// every userfaultfd fault (UFFD_FEATURE_SIGBUS: the fault is a SIGBUS in the thread that touched the page), takes the
// page's lock word and either installs the PTE or asks the agent and waits.
//
// fault_in(), lock_for_map() and unlock_mapped() are async-signal-safe and may be called in a SIGBUS handler; the
// caller blocks every signal whose handler may itself touch guest RAM for the time of the call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapping.h"
#include "base/types.h"
#include "base/unique_fd.h"

namespace pando::dsm {

enum class Access : uint8_t { Read, Write };

// Who touched what: kept with each remote fault for the profiler.
struct FaultInfo {
  uint64_t address = 0;  // virtual address touched
  uint64_t rip = 0;      // instruction
  VcpuId vcpu{};
  Access access = Access::Read;
  bool user = false;  // guest user code (address and rip are user addresses of `mm`)
  MmId mm{};
};

// A userfaultfd of this process or of a stub, with UFFD_FEATURE_SIGBUS and the features Pando needs.
class Uffd {
 public:
  // For this process's own mm.  Throws UserError when the host refuses (no rights), naming the remedy.
  static Uffd open_here();
  // Takes a descriptor made by userfaultfd(2) in another process and does the API handshake.
  static Uffd adopt(UniqueFd fd);

  // Registers [address, +bytes) of the descriptor's mm for missing, minor and write-protect faults.
  void register_range(uint64_t address, uint64_t bytes) const;

  enum class Continue { Installed, AlreadyMapped, Hole, Retry, Gone };
  enum class Protection : uint8_t { Writable, WriteProtected };
  Continue continue_pages(uint64_t address, uint64_t bytes, Protection protection) const;
  void write_protect(uint64_t address, uint64_t bytes, Protection protection) const;
  int fd() const { return fd_.get(); }
  bool is_own_mm() const { return own_mm_; }  // made by open_here()

 private:
  Uffd(UniqueFd fd, bool own_mm) : fd_(std::move(fd)), own_mm_(own_mm) {}
  UniqueFd fd_;
  bool own_mm_;
};

struct NodeRange {
  GuestPhys start;
  uint64_t bytes;
};

// What all nodes agreed on; constant after attach().
struct ClusterLayout {
  NodeId self{};
  std::vector<NodeRange> nodes;   // by node id, ascending, adjacent
  std::vector<NodeId> vcpu_node;  // by vCPU id
  std::vector<std::string> names;  // by node id
  std::vector<uint8_t> distances;  // NUMA distances, nodes x nodes, row by row; 10 = local
  uint64_t ram_bytes = 0;          // sum
  bool solo() const { return nodes.size() == 1; }
  uint8_t distance(size_t from, size_t to) const { return distances[from * nodes.size() + to]; }
  NodeId home_of(PageId page) const;
};

// Kinds of fabric message.  Node-to-node messages between VMMs are opaque to the agents, which only route them; the
// ones from Power on are acted upon by the agent itself.
enum class FabricKind : uint16_t {
  Ipi = 1,          // vmm: vcpu, vector
  VcpuStart,        // vmm: vcpu, entry, argument, irq entry, trap entry
  MmUnmap,          // vmm, acknowledged
  MmResync,         // vmm, acknowledged
  MmFree,           // vmm
  KernelUnmap,      // vmm, acknowledged
  Ack,              // vmm
  StopWorld,        // reserved
  Debug,            // own agent <-> vmm: dsm/shm/debug_message.h
  LockKick,         // vmm: vcpu
  Power = 64,       // to the own agent: {u32 kind, u32 code}: the agent spreads it and ends the cluster
  ConsoleOut,       // to the own agent: {u8 port, bytes}; the agent forwards to the console's attach point
  ConsoleIn,        // from the agent: {u8 port, bytes}
  Ready,            // to the own agent: the VMM has registered its memory and can run
  Start,            // from the agent: all nodes are ready; node 0 starts vCPU 0
  Shutdown,         // from the agent: end now (power event elsewhere, node loss, operator)
};

struct FabricMessage {
  FabricKind kind{};
  NodeId from{};               // filled in by the receiving side's agent, not by the sender
  std::vector<uint8_t> payload;  // at most kFabricPayloadMax bytes
};

inline constexpr size_t kFabricPayloadMax = 16 * 1024;

class NodeClient {
 public:
  // Checks magic, version and sizes.  Throws UserError ("control memory has version 3, this program speaks 2: ...").
  static std::unique_ptr<NodeClient> attach(UniqueFd ram, UniqueFd control);
  virtual ~NodeClient() = default;

  virtual const ClusterLayout& layout() const = 0;
  virtual int ram_fd() const = 0;
  // Nanoseconds to add to this host's CLOCK_MONOTONIC to get the cluster's clock (0 at boot; the same everywhere up
  // to the error bound the agent keeps).
  virtual int64_t clock_offset_ns() const = 0;

  // Nodes that share this host's processors, this one included; 1 until the agent knows its peers.
  virtual unsigned host_nodes() const { return 1; }

  // Makes the page accessible at `mapped_at` in uffd's mm with the right that info.access asks for: installs the PTE
  // (write-protected unless this node may write), fetching the page first when another node has it.  Neighbouring
  // pages [window_start, window_end) around mapped_at that map guest-physical memory linearly (mapped_at - page
  // address constant) and are already here with enough right may be installed along (fault-around).  Gone: the
  // mapping is no longer there (the caller refaults).  Blocks until done or until the cluster ends (then Ended).
  enum class Fault : uint8_t { Installed, Gone, Ended };
  virtual Fault fault_in(const Uffd& uffd, uint64_t mapped_at, PageId page, uint64_t window_start,
                         uint64_t window_end, const FaultInfo& info) = 0;

  // Hints; any thread.  The page will soon be written here by that vCPU: asks for it and does not wait.
  virtual void fetch_ahead(PageId, VcpuId) {}
  // Nobody here needs the page for the time being: its hold window is over.
  virtual void end_hold(PageId) {}

  // For PTEs that another process installs on our behalf (a stub's ride-along UFFDIO_CONTINUE): takes the lock word
  // when the page is here with the right (populating a never-written page), else false and nothing is held.  Pages
  // must be taken in ascending order and given back soon: the agent waits for them.
  virtual bool lock_for_map(PageId page, Access access) = 0;
  virtual void unlock_mapped(PageId page) = 0;

  // Fills a page at start-up with content that is identical on all nodes (kernel image, boot info): written through
  // an unregistered alias; the agent's initial state has it shared everywhere.
  virtual void preload(GuestPhys at, std::span<const uint8_t> bytes) = 0;
  // Start-up only: memory homed here, written by this node alone (initrd on node 0).
  virtual void preload_home(GuestPhys at, std::span<const uint8_t> bytes) = 0;

  // Fabric.  send() copies the message; it blocks while the ring is full (bounded: throws HostError ETIMEDOUT after
  // the cluster's time-out).  Async-signal-safe: no, except Ipi.
  virtual void send(NodeId to, FabricKind kind, std::span<const uint8_t> payload) = 0;
  // Blocks for the next message, at most `limit_ms`; nullopt on time-out.  One thread only.
  virtual std::optional<FabricMessage> receive(int limit_ms) = 0;

  // Counters of this node since start, for PANDO_HC_STATS.
  struct Stats {
    uint64_t faults_local = 0, faults_remote_read = 0, faults_remote_write = 0, fault_wait_ns = 0;
  };
  virtual Stats stats() const = 0;

  // For whoever looks at fault records: whose an address space is, and where a vCPU's per-CPU variables lie.
  struct AddressSpaceName {
    MmId mm{};
    uint32_t pid = 0;
    GuestPhys page_table{};
    std::string_view comm;
  };
  virtual void name_address_space(const AddressSpaceName& name) = 0;
  virtual void set_cpu_area(VcpuId vcpu, uint64_t offset) = 0;
};

}  // namespace pando::dsm
