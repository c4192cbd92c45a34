// SPDX-License-Identifier: Apache-2.0
// pando gdb [NAME] [--listen ADDRESS] [-- GDB ARGUMENTS]
#include <sys/signalfd.h>

#include <csignal>
#include <cstdio>
#include <memory>

#include "base/error.h"
#include "tools/cluster/control_client.h"
#include "tools/cluster/outcome.h"
#include "tools/cluster/runtime_dir.h"
#include "tools/gdb/cluster_target.h"
#include "tools/gdb/gdb_process.h"
#include "tools/gdb/server.h"
#include "tools/observe/collector.h"
#include "tools/pando/command.h"

namespace pando::cli {
namespace {

constexpr std::chrono::seconds kKillLimit{5};
constexpr size_t kFaultRecordsMax = 8192;  // a node keeps no more

struct GdbCommand {
  std::string cluster, kernel_file;
  gdb::ListenOptions listen;
  gdb::GdbOptions gdb;
};

void kill_cluster(const v1::ClusterState& state) {
  for (const v1::StateNode& node : state.nodes()) {
    try {
      cluster::ControlClient(node.name(), node.id(), node.address(), state.operator_tls())
          .shutdown(true, "killed by the debugger", kKillLimit);
      return;  // it tells the others
    } catch (const cluster::ControlError& error) {
      tell(error.what());
    }
  }
}

gdb::ClusterAccess access_of(const v1::ClusterState& state) {
  gdb::ClusterAccess access;
  for (const v1::StateNode& node : state.nodes())
    access.nodes.push_back({node.id(), node.name(), node.address()});
  access.tls = state.operator_tls();
  access.kill = [state] { kill_cluster(state); };
  access.record = [state] {
    observe::Collector collector(state, observe::Events::No, kFaultRecordsMax);
    collector.begin(observe::Since::OldestKept);
    return collector.finish();
  };
  return access;
}

// Before any thread exists.
UniqueFd take_end_signals() {
  sigset_t ends;
  sigemptyset(&ends);
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&ends, signal);
  check_pthread(pthread_sigmask(SIG_BLOCK, &ends, nullptr), "pthread_sigmask");
  return UniqueFd(static_cast<int>(check_errno(signalfd(-1, &ends, SFD_CLOEXEC), "signalfd")));
}

// For a debugger that the user starts: until Ctrl-C.
int listen(gdb::ClusterTarget& target, const gdb::ListenOptions& options, const UniqueFd& signals) {
  gdb::Server server(target, target.event_fd(), options);
  std::printf("listening: in gdb, say  target remote %s\n", server.address().c_str());
  std::fflush(stdout);
  server.run(signals.get());
  return cluster::kExitFine;
}

int debug(GdbCommand& command) {
  const v1::ClusterState state = cluster::find_running(command.cluster);
  command.gdb.kernel_file =
      command.kernel_file.empty() ? state.kernel_file() : command.kernel_file;
  const auto image = observe::KernelImage::read(command.gdb.kernel_file);
  const UniqueFd signals = command.listen.where.empty() ? UniqueFd() : take_end_signals();
  gdb::ClusterTarget target(access_of(state), image);
  return command.listen.where.empty() ? gdb::run_gdb(target, command.gdb)
                                      : listen(target, command.listen, signals);
}

}  // namespace

void add_gdb(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<GdbCommand>();
  CLI::App* command =
      app.add_subcommand("gdb", "debug the guest kernel: every virtual CPU of every node is a thread");
  command->add_option("NAME", options->cluster, "cluster or cluster file; default: the one that runs");
  command->add_option("--kernel", options->kernel_file,
                      "image with symbols; default: what the cluster booted");
  command->add_option("--gdb", options->gdb.program, "the debugger to start; default: gdb");
  command->add_option("--listen", options->listen.where,
                      "start no debugger, wait for one: [ADDRESS]:PORT on loopback, or a socket's path");
  command->add_flag("--anywhere", options->listen.anywhere, "--listen may be reached from other hosts");
  command->add_option("--arguments", options->gdb.arguments, "for gdb; may be repeated")->take_all();
  command->callback([=, &exit_code] { exit_code = debug(*options); });
}

}  // namespace pando::cli
