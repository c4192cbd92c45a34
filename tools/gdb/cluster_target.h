// SPDX-License-Identifier: Apache-2.0
// A running cluster as a DebugTarget: all virtual CPUs of all nodes, by the agents' Debug service.
//
// Stops and resumes go to all nodes at once.  Memory is read page by page, first what a node holds anyway, else through
// its VMM, and kept until something runs or is written.  A node whose VMM died can still be read.
// One thread calls it; what the nodes report arrives on reader threads and is announced by event_fd().
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/unique_fd.h"
#include "proto/observe.pb.h"
#include "tools/gdb/debug_link.h"
#include "tools/gdb/debug_target.h"
#include "tools/observe/kernel_image.h"

namespace pando::gdb {

struct ClusterAccess {
  std::vector<NodeAddress> nodes;
  v1::TlsMaterial tls;
  std::function<void()> kill;  // ends the cluster by force
  // What the agents have recorded of faults up to now.
  std::function<v1::Recording()> record;
};

class ClusterTarget final : public DebugTarget {
 public:
  // `image`: what the cluster booted.  Throws UserError when a node refuses or cannot be reached.
  ClusterTarget(ClusterAccess access, const observe::KernelImage& image);
  ~ClusterTarget() override;

  // Readable when take_stop() may have something.
  int event_fd() const { return event_fd_.get(); }

  std::optional<StopEvent> attach() override;
  void detach() override;
  void kill() override;
  std::vector<ThreadInfo> threads() override;
  std::optional<Registers> read_registers(VcpuId vcpu) override;
  bool write_registers(VcpuId vcpu, const Registers& registers) override;
  size_t read_memory(VcpuId vcpu, GuestVirt address, std::span<uint8_t> out) override;
  bool write_memory(VcpuId vcpu, GuestVirt address, std::span<const uint8_t> bytes) override;
  bool insert_breakpoint(VcpuId vcpu, GuestVirt address) override;
  bool remove_breakpoint(VcpuId vcpu, GuestVirt address) override;
  bool resume(std::span<const VcpuAction> actions) override;
  void interrupt() override;
  std::optional<StopEvent> take_stop() override;
  std::string monitor(std::string_view command) override;

 private:
  using PageBytes = std::array<uint8_t, kPageSize>;
  struct Node {
    std::unique_ptr<DebugLink> link;
    v1::DebugNode info;
  };
  struct VcpuState {
    size_t node = 0;
    dsm::DebugVcpu state{};
  };
  struct NodeEvent {
    uint32_t node;
    v1::DebugReply reply;  // operation 0: the session has ended
  };
  struct Breakpoint {
    GuestPhys at;
    uint8_t original;
  };
  // Where a breakpoint in user memory was: GDB takes it out and puts it in again while other tasks are current.
  struct KnownCode {
    GuestPhys at;
    std::vector<uint8_t> bytes;
  };

  void connect();
  void on_event(uint32_t node, const v1::DebugReply& event);
  void ring();
  // Stops all nodes and learns their virtual CPUs; false: nothing answers any more.
  bool stop_all();
  void learn_vcpus(size_t node, const std::string& data);
  std::optional<StopEvent> stop_of(const NodeEvent& event);
  VcpuId any_vcpu() const;
  VcpuId panicked_vcpu();
  const VcpuState* find(VcpuId vcpu) const;

  const PageBytes* page(PageId page, size_t preferred);
  bool fetch(PageId page, size_t node, PageBytes& out);
  bool read_physical(GuestPhys address, std::span<uint8_t> out, size_t preferred);
  bool write_physical(GuestPhys address, std::span<const uint8_t> bytes, size_t preferred);
  bool write_around_breakpoints(GuestPhys at, std::span<const uint8_t> bytes, size_t preferred);
  template <class T>
  std::optional<T> peek(uint64_t direct_map_address, size_t preferred);
  std::optional<GuestPhys> translate(VcpuId vcpu, GuestVirt address);
  std::optional<GuestPhys> translate_user(const VcpuState& vcpu, GuestVirt address);
  bool in_direct_map(uint64_t address) const;
  bool send_breakpoints();
  std::optional<GuestPhys> find_code(VcpuId vcpu, GuestVirt address);
  void remember_code(GuestVirt address, GuestPhys at);
  // Breakpoints at `at`, but for the one of `except`.
  const Breakpoint* breakpoint_at(GuestPhys at, uint64_t except) const;
  void hide_breakpoints(GuestPhys at, std::span<uint8_t> bytes) const;
  void on_exit(const v1::ExitStatus& exit);
  void forget_memory() { pages_.clear(); }

  std::string task_of(const VcpuState& vcpu);
  std::string monitor_phys(std::string_view arguments);
  std::string monitor_page(std::string_view arguments);
  std::string monitor_nodes();
  std::string monitor_vcpus();
  std::string monitor_hot(std::string_view arguments);

  const ClusterAccess access_;
  const observe::KernelImage& image_;
  std::vector<Node> nodes_;
  uint64_t ram_bytes_ = 0;
  std::map<uint16_t, VcpuState> vcpus_;
  std::map<uint64_t, Breakpoint> breakpoints_;
  std::map<uint64_t, KnownCode> known_code_;
  std::unordered_map<uint32_t, PageBytes> pages_;
  std::optional<StopEvent> pending_stop_;
  std::optional<StopEvent> ended_;  // the guest has: nothing can be resumed

  UniqueFd event_fd_;
  std::mutex events_mutex_;
  std::deque<NodeEvent> events_;
};

}  // namespace pando::gdb
