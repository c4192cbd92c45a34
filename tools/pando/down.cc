// SPDX-License-Identifier: Apache-2.0
// pando down [NAME]: asks all nodes to end, waits for the supervising process, then insists.
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <memory>

#include "base/error.h"
#include "tools/cluster/control_client.h"
#include "tools/cluster/outcome.h"
#include "tools/cluster/runtime_dir.h"
#include "tools/config/quantity.h"
#include "tools/pando/command.h"

namespace pando::cli {
namespace {

constexpr std::chrono::seconds kCall{5};
constexpr std::chrono::seconds kInsist{15};  // the supervisor kills its agents well before

bool wait_for(int pidfd, std::chrono::nanoseconds limit) {
  pollfd fd{pidfd, POLLIN, 0};
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(limit).count();
  const int ready = ::poll(&fd, 1, static_cast<int>(std::min<int64_t>(ms, 3'600'000)));
  return check_errno(ready, "poll") == 1;
}

// The first node that hears it tells the others, which then may end before we ask them.
void ask_to_end(const v1::ClusterState& state, bool force) {
  std::string failures;
  for (const v1::StateNode& node : state.nodes()) {
    try {
      cluster::ControlClient(node.name(), node.id(), node.address(), state.operator_tls())
          .shutdown(force, "pando down", kCall);
      return;
    } catch (const cluster::ControlError& error) {
      failures += (failures.empty() ? "" : "; ") + std::string(error.what());
    }
  }
  tell(failures);
}

int down(const std::string& name, bool force, const std::string& patience_text) {
  const auto patience = config::parse_duration(patience_text);
  if (!patience)
    throw UserError("--timeout: '" + patience_text + "' is no time; write it as in 20s");
  const v1::ClusterState state = cluster::find_running(name);
  const auto pid = static_cast<pid_t>(state.supervisor_pid());
  const UniqueFd supervisor(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!supervisor) return cluster::kExitFine;  // it has ended in between
  ask_to_end(state, force);
  if (wait_for(supervisor.get(), *patience)) return cluster::kExitFine;
  tell("cluster " + state.name() + " did not end within " + patience_text + "; insisting");
  ::syscall(SYS_pidfd_send_signal, supervisor.get(), SIGTERM, nullptr, 0);
  if (wait_for(supervisor.get(), kInsist)) return cluster::kExitFine;
  ::syscall(SYS_pidfd_send_signal, supervisor.get(), SIGKILL, nullptr, 0);
  throw HostError(
      "cluster " + state.name() + " had to be killed; look for its agents with: pgrep -a pando-dsm",
      ETIMEDOUT);
}

}  // namespace

void add_down(CLI::App& app, int& exit_code) {
  auto name = std::make_shared<std::string>();
  auto patience = std::make_shared<std::string>("20s");
  auto force = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand("down", "end a running cluster");
  command->add_option("NAME", *name, "cluster or cluster file; may be left out when only one runs");
  command->add_flag("-f,--force", *force, "at once");
  command->add_option("--timeout", *patience, "until it insists, default 20s");
  command->callback([=, &exit_code] { exit_code = down(*name, *force, *patience); });
}

}  // namespace pando::cli
