// SPDX-License-Identifier: Apache-2.0
// pando run FILE -- CMD...: boot, run CMD in the guest, relay its input and outputs, exit with its
// status.
#include <unistd.h>

#include <memory>

#include "base/error.h"
#include "tools/cluster/session.h"
#include "tools/pando/boot_options.h"
#include "tools/pando/command.h"
#include "tools/pando/ending.h"

namespace pando::cli {
namespace {

struct RunOptions {
  BootOptions boot;
  cluster::GuestCommand command;
  std::string time_limit;
  bool no_input = false;
};

std::optional<std::chrono::nanoseconds> time_limit(const RunOptions& options) {
  if (options.time_limit.empty()) return std::nullopt;
  const auto limit = config::parse_duration(options.time_limit);
  if (!limit)
    throw UserError("--timeout: '" + options.time_limit + "' is no time; write it as in 90s");
  return limit;
}

void check_environment(const RunOptions& options) {
  for (const std::string& item : options.command.environment) {
    const size_t equals = item.find('=');
    if (equals != 0 && equals != item.npos) continue;
    throw UserError("--env: '" + item.substr(0, 60) + "' is no variable; write NAME=value");
  }
}

int run(const RunOptions& options) {
  const auto limit = time_limit(options);
  check_environment(options);
  config::ClusterConfig config = load(options.boot);
  block_session_signals();
  const std::string name = config.name + "-" + std::to_string(::getpid());
  cluster::SessionOptions session_options{
      .transient = true,
      .runtime_name = name,
      .extra_initrd = cluster::command_archive(options.command),
      .progress = progress(options.boot.verbose)};
  cluster::Session session(std::move(config), std::move(session_options));
  session.prepare();
  cluster::Attachment attachment(session.console_client(),
                                 {.input_fd = options.no_input ? -1 : STDIN_FILENO,
                                  .input_port = v1::STDIO,
                                  .console_fd = options.boot.verbose ? STDERR_FILENO : -1,
                                  .stdio_fd = STDOUT_FILENO,
                                  .stderr_fd = STDERR_FILENO},
                                 session.waker());
  session.start();
  const cluster::Outcome outcome = finish(session, attachment, session.supervise(attachment, limit));
  if (outcome.code == cluster::kExitNodeLost || outcome.code == cluster::kExitInternal) {
    session.keep_logs();
    tell("what the nodes have logged: pando logs " + name);
  }
  return outcome.code;
}

}  // namespace

void add_run(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* command =
      app.add_subcommand("run", "boot, run a command in the guest, exit with its status");
  describe(*command, options->boot);
  command->add_option("CMD", options->command.argv, "command and its arguments, after --")
      ->required();
  command
      ->add_option("-e,--env", options->command.environment,
                   "NAME=value for the command; may be repeated")
      ->allow_extra_args(false);
  command->add_option("--cwd", options->command.folder,
                      "folder of the guest in which the command runs");
  command->add_option("--timeout", options->time_limit,
                      "end everything after this time, such as 90s (exit code 124)");
  command->add_flag("-n,--no-input", options->no_input, "the command gets no input");
  command->callback([options, &exit_code] { exit_code = run(*options); });
}

}  // namespace pando::cli
