// SPDX-License-Identifier: Apache-2.0
// pando up FILE: boot and attach the console, or detach.
#include <unistd.h>

#include <memory>

#include "base/error.h"
#include "tools/cluster/session.h"
#include "tools/cluster/terminal.h"
#include "tools/pando/boot_options.h"
#include "tools/pando/command.h"
#include "tools/pando/ending.h"

namespace pando::cli {
namespace {

using cluster::OldLogs;
using cluster::Outcome;

struct UpOptions {
  BootOptions boot;
  bool detach = false;
  bool no_reboot = false;
  bool after_reboot = false;
};

std::vector<std::string> restart_command(const UpOptions& options) {
  std::vector<std::string> command{"pando", "up", "--detach", "--after-reboot"};
  for (std::string& word : words_of(options.boot)) command.push_back(std::move(word));
  return command;
}

Outcome leave(cluster::Session& session, const std::string& name,
              const std::vector<std::string>& restart) {
  session.hand_over(restart);
  tell("cluster " + name + " goes on; pando console " + name + " attaches again, pando down " +
       name + " ends it");
  return {cluster::kExitFine, ""};
}

Outcome attach(cluster::Session& session, const std::string& name,
               const std::vector<std::string>& restart) {
  const bool terminal = ::isatty(STDIN_FILENO) == 1;
  cluster::Attachment attachment(
      session.console_client(),
      {.input_fd = STDIN_FILENO,
       .input_port = v1::CONSOLE,
       .console_fd = STDOUT_FILENO,
       .escape = terminal ? cluster::Escape::ControlBracket : cluster::Escape::None},
      session.waker());
  session.start();
  if (terminal) tell("this is the guest's console; Ctrl-] detaches");
  cluster::RawTerminal raw(STDIN_FILENO);
  const auto why = session.supervise(attachment, std::nullopt);
  if (why == cluster::Session::Until::Detached) {
    attachment.finish(std::chrono::milliseconds(0));
    raw.restore();
    return leave(session, name, restart);
  }
  const Outcome outcome = finish(session, attachment, why);
  raw.restore();
  return outcome;
}

// From one start of the guest to its end, or until it is left alone.
Outcome one_life(const config::ClusterConfig& config, const UpOptions& options,
                 const std::vector<std::string>& restart, OldLogs logs) {
  cluster::Session session(config, {.transient = false,
                                    .runtime_name = config.name,
                                    .old_logs = logs,
                                    .extra_initrd = "",
                                    .progress = progress(true)});
  session.prepare();
  if (!options.detach) return attach(session, config.name, restart);
  session.start();
  return leave(session, config.name, restart);
}

int up(const UpOptions& options) {
  const config::ClusterConfig config = load(options.boot);
  block_session_signals();
  std::vector<std::string> restart;
  if (config.reboot && !options.no_reboot) restart = restart_command(options);
  for (OldLogs logs = options.after_reboot ? OldLogs::Keep : OldLogs::Remove;;
       logs = OldLogs::Keep) {
    const Outcome outcome = one_life(config, options, restart, logs);
    if (!outcome.reboot || restart.empty()) return outcome.code;
    tell("it is started again");
  }
}

}  // namespace

void add_up(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<UpOptions>();
  CLI::App* command = app.add_subcommand("up", "boot and attach the console (Ctrl-] detaches)");
  describe(*command, options->boot);
  command->add_flag("-d,--detach", options->detach, "leave the cluster running in the background");
  command->add_flag("--no-reboot", options->no_reboot,
                    "a guest that reboots ends instead of starting again");
  command->add_flag("--after-reboot", options->after_reboot, "the guest has rebooted")->group("");
  command->callback([options, &exit_code] { exit_code = up(*options); });
}

}  // namespace pando::cli
