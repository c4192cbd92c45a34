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

struct UpOptions {
  BootOptions boot;
  bool detach = false;
};

int leave(cluster::Session& session, const std::string& name) {
  session.hand_over();
  tell("cluster " + name + " goes on; pando console " + name + " attaches again, pando down " +
       name + " ends it");
  return cluster::kExitFine;
}

int attach(cluster::Session& session, const std::string& name) {
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
    return leave(session, name);
  }
  const int code = finish(session, attachment, why);
  raw.restore();
  return code;
}

int up(const UpOptions& options) {
  config::ClusterConfig config = load(options.boot);
  const std::string name = config.name;
  block_session_signals();
  cluster::Session session(
      std::move(config),
      {.transient = false, .runtime_name = name, .extra_initrd = "", .progress = progress(true)});
  session.prepare();
  if (!options.detach) return attach(session, name);
  session.start();
  return leave(session, name);
}

}  // namespace

void add_up(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<UpOptions>();
  CLI::App* command = app.add_subcommand("up", "boot and attach the console (Ctrl-] detaches)");
  describe(*command, options->boot);
  command->add_flag("-d,--detach", options->detach, "leave the cluster running in the background");
  command->callback([options, &exit_code] { exit_code = up(*options); });
}

}  // namespace pando::cli
