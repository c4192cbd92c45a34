// SPDX-License-Identifier: Apache-2.0
// pando console [NAME]: the console of a running cluster.
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <memory>

#include "base/error.h"
#include "tools/cluster/attachment.h"
#include "tools/cluster/outcome.h"
#include "tools/cluster/runtime_dir.h"
#include "tools/cluster/terminal.h"
#include "tools/pando/boot_options.h"
#include "tools/pando/command.h"

namespace pando::cli {
namespace {

struct ConsoleOptions {
  std::string name;
  bool read_only = false;
};

UniqueFd open_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, number);
  return UniqueFd(static_cast<int>(check_errno(::signalfd(-1, &set, SFD_CLOEXEC), "signalfd")));
}

int console(const ConsoleOptions& options) {
  const v1::ClusterState state = cluster::find_running(options.name);
  block_session_signals();
  const UniqueFd signals = open_signals();
  const UniqueFd wake(static_cast<int>(check_errno(::eventfd(0, EFD_CLOEXEC), "eventfd")));
  const v1::StateNode& node = state.nodes(0);
  cluster::ControlClient client(node.name(), node.id(), node.address(), state.operator_tls());
  const bool terminal = ::isatty(STDIN_FILENO) == 1;
  cluster::Attachment attachment(
      client,
      {.input_fd = options.read_only ? -1 : STDIN_FILENO,
       .input_port = v1::CONSOLE,
       .console_fd = STDOUT_FILENO,
       .escape = terminal ? cluster::Escape::ControlBracket : cluster::Escape::None},
      [fd = wake.get()] {
        const uint64_t one = 1;
        (void)!::write(fd, &one, sizeof one);
      });
  if (terminal && !options.read_only)
    tell("console of cluster " + state.name() + "; Ctrl-] detaches");
  cluster::RawTerminal raw(options.read_only ? -1 : STDIN_FILENO);
  std::array<pollfd, 2> fds{{{signals.get(), POLLIN, 0}, {wake.get(), POLLIN, 0}}};
  while (!attachment.ended() && !attachment.detach_requested() && !attachment.output_closed()) {
    if (::poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) throw HostError("poll", errno);
    if (fds[0].revents != 0) return cluster::kExitInterrupted;
    uint64_t count = 0;
    if (fds[1].revents != 0) (void)!::read(wake.get(), &count, sizeof count);
  }
  attachment.finish(std::chrono::milliseconds(0));
  raw.restore();
  if (attachment.broken().empty()) return cluster::kExitFine;
  tell("node " + node.name() + ": the console broke off: " + attachment.broken());
  return cluster::kExitNodeLost;
}

}  // namespace

void add_console(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<ConsoleOptions>();
  CLI::App* command =
      app.add_subcommand("console", "attach to the console of a running cluster (Ctrl-] detaches)");
  command->add_option("NAME", options->name,
                      "cluster or cluster file; may be left out when only one runs");
  command->add_flag("-r,--read-only", options->read_only, "only look");
  command->callback([options, &exit_code] { exit_code = console(*options); });
}

}  // namespace pando::cli
