// SPDX-License-Identifier: Apache-2.0
// pando hold: started by `pando up` when it detaches; not for users.
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "base/error.h"
#include "tools/cluster/keeper.h"
#include "tools/cluster/outcome.h"
#include "tools/pando/command.h"

namespace pando::cli {
namespace {

[[noreturn]] void become(std::vector<std::string> command) {
  std::vector<char*> argv;
  for (std::string& word : command) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execv("/proc/self/exe", argv.data());
  throw HostError("exec of pando for a reboot", errno);
}

}  // namespace

void add_hold(CLI::App& app, int& exit_code) {
  struct Options {
    std::string path;
    int lock_fd = -1;
    int64_t grace_ms = 0;
    std::vector<std::string> agents, restart;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("hold", "started by pando up");
  command->group("");  // not shown in --help
  command->add_option("PATH", options->path)->required();
  command->add_option("LOCK", options->lock_fd)->required();
  command->add_option("GRACE", options->grace_ms)->required();
  command->add_option("AGENTS", options->agents)->required();
  command->add_option("--restart", options->restart)->allow_extra_args(false);
  command->callback([options, &exit_code] {
    std::vector<cluster::HeldAgent> agents;
    for (const std::string& text : options->agents)
      agents.push_back(cluster::HeldAgent::parse(text));
    const auto until = cluster::keep(options->path, options->lock_fd, agents,
                                     std::chrono::milliseconds(options->grace_ms));
    if (until == cluster::KeptUntil::Reboot && !options->restart.empty()) become(options->restart);
    exit_code = cluster::kExitFine;
  });
}

}  // namespace pando::cli
