// SPDX-License-Identifier: Apache-2.0
// What a test program needs to play the VMM of a node: attaches to the agent, maps the cluster's memory, takes its
// faults by SIGBUS, waits for the start, and ends the cluster with a code.
#pragma once

#include <signal.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dsm/client/node_client.h"

namespace pando::test {

class Worker {
 public:
  // Arguments of the agent, then the test's own.
  Worker(int argc, char** argv);

  const std::vector<std::string>& arguments() const { return arguments_; }
  uint64_t number(const std::string& option, uint64_t otherwise) const;  // "--seconds 5"
  dsm::NodeClient& client() { return *client_; }
  int self() const { return client_->layout().self.value(); }
  int nodes() const { return static_cast<int>(client_->layout().nodes.size()); }
  uint8_t* ram() const { return ram_.data(); }
  uint64_t bytes() const { return client_->layout().ram_bytes; }
  // First page of a node's range, as a pointer.
  uint8_t* range(int node) const { return ram() + client_->layout().nodes[static_cast<size_t>(node)].start.value(); }
  uint64_t range_bytes(int node) const { return client_->layout().nodes[static_cast<size_t>(node)].bytes; }

  template <class T>
  std::atomic<T>& atomic_at(uint64_t offset) const {
    return *reinterpret_cast<std::atomic<T>*>(ram() + offset);
  }

  // Tells the agent that the memory is registered, returns when all nodes are.
  void start();
  // All nodes call it with the same page offset: returns when all have.  Uses the page's first words.
  void barrier(uint64_t offset);
  // Off: a fault maps its own page alone.
  void set_fault_around(bool on) { fault_around_ = on; }
  // Before start(): content of pages homed here, not mapped by this node.
  void preload_home(uint64_t offset, std::span<const uint8_t> bytes) { client_->preload_home(GuestPhys(offset), bytes); }
  // Node 0: ends the cluster with this exit code.  The others: wait to be ended.  Does not return.
  [[noreturn]] void finish(int code);
  // A child process with its own mapping and userfaultfd runs `body` and exits with what it returns.
  pid_t fork_worker(const std::function<int()>& body);

 private:
  void map_ram();
  static void on_sigbus(int, siginfo_t* info, void* context);

  std::unique_ptr<dsm::NodeClient> client_;
  std::optional<dsm::Uffd> uffd_;
  Mapping ram_;
  std::vector<std::string> arguments_;
  bool fault_around_ = true;
};

}  // namespace pando::test
