// SPDX-License-Identifier: Apache-2.0
// One cluster from its file to its end: launches the agents, ships images, starts the guest,
// watches all nodes, ends everything.  Whatever happens, the destructor leaves no process of it
// behind (unless handed over to a keeper).
//
// Main thread only; SIGINT, SIGTERM and SIGHUP are blocked by the caller and arrive through the
// session.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "proto/state.pb.h"
#include "tools/cluster/agent_process.h"
#include "tools/cluster/attachment.h"
#include "tools/cluster/certificates.h"
#include "tools/cluster/control_client.h"
#include "tools/cluster/images.h"
#include "tools/cluster/outcome.h"
#include "tools/cluster/runtime_dir.h"
#include "tools/config/cluster_config.h"

namespace pando::cluster {

// The cluster did not come up, or ended while it did: a sentence for the user and the exit code.
class NotUp : public std::runtime_error {
 public:
  NotUp(int exit_code, const std::string& sentence)
      : std::runtime_error(sentence), exit_code_(exit_code) {}
  int exit_code() const { return exit_code_; }

 private:
  int exit_code_;
};

struct SessionOptions {
  bool transient = false;                                 // the folder goes with the cluster, see keep_logs()
  std::string runtime_name;                               // folder below the runtime root
  OldLogs old_logs = OldLogs::Remove;                     // Keep: this is a reboot
  std::string extra_initrd;                               // bytes of an archive, or empty
  std::function<void(const std::string& line)> progress;  // may be empty
};

class Session {
 public:
  Session(config::ClusterConfig config, SessionOptions options);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // prepare(): agents are up and have the images; consoles can be attached.  start(): the guest
  // runs on every node. Both throw UserError, NotUp, HostError.
  void prepare();
  void start();

  ControlClient& console_client() { return *nodes_.front().client; }
  // A function for Attachment: makes supervise() look at the attachment.
  std::function<void()> waker() const;

  enum class Until : uint8_t { Ended, Detached, OutputClosed, Interrupted, TimeLimit };
  Until supervise(const Attachment& attachment, std::optional<std::chrono::nanoseconds> limit);
  // Waits until the user has taken all output, or a signal came.
  void drain(const Attachment& attachment);
  // Tells all nodes to end, if they have not; waits; kills what does not end.  What happened, by
  // the best witness.
  Outcome end(const std::string& reason);

  // Starts `pando hold`, which keeps the cluster alive after this process, and lets go of it.  When the guest
  // reboots, `pando hold` becomes the command `restart`, if there is one.
  void hand_over(const std::vector<std::string>& restart);

  // The folder of a transient cluster stays, for `pando logs`.
  void keep_logs() { keep_logs_ = true; }

  const RuntimeDir& runtime_dir() const { return *runtime_; }
  // The last lines of a node's log, for messages.
  std::string log_tail(size_t node) const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Node {
    std::optional<AgentProcess> process;
    std::unique_ptr<ControlClient> client;
    v1::Phase phase = v1::PHASE_IDLE;
    std::string listening;  // of the first event
    std::string last_text;
    std::optional<v1::ExitStatus> exit;  // of the last event
    std::optional<int> wait_status;
  };

  void launch();
  void connect();
  void ship_images();
  void start_all();
  void wait_running();
  void save_state(pid_t supervisor);

  // One round of waiting for news, until the deadline at most.
  void pump(Clock::time_point deadline);
  void take_news(size_t index);
  // Runs `work` for every node on a thread of its own while pump() goes on; throws the first
  // failure.
  void for_all_nodes(const std::string& what, const std::function<void(size_t node)>& work);
  // Throws NotUp or UserError when a node has ended or a signal came.
  void check_alive();
  void fail_user_mistake(size_t index) const;
  [[noreturn]] void fail_launch(size_t index);
  [[noreturn]] void fail_deadline(const std::string& what,
                                  const std::function<bool(const Node&)>& done,
                                  config::Nanoseconds limit, const std::string& remedy);
  bool all_nodes(const std::function<bool(const Node&)>& test) const;
  void say(const std::string& line) const;
  std::string name_of(uint32_t node_id) const;

  const config::ClusterConfig config_;
  const SessionOptions options_;
  const Clock::time_point began_ = Clock::now();
  std::string cluster_id_;
  Images images_;
  Certificates certificates_;
  std::optional<RuntimeDir> runtime_;
  std::vector<Node> nodes_;
  UniqueFd signals_, wake_;
  int signals_seen_ = 0;
  bool keep_runtime_ = false;
  bool keep_logs_ = false;
};

}  // namespace pando::cluster
