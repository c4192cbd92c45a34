// SPDX-License-Identifier: Apache-2.0
// pando: the operator's tool.
#include <signal.h>

#include <cstdio>

#include "base/error.h"
#include "tools/cluster/control_client.h"
#include "tools/cluster/outcome.h"
#include "tools/cluster/session.h"
#include "tools/pando/command.h"

namespace pando::cli {

void tell(const std::string& line) {
  std::fprintf(stderr, "pando: %s\n", line.c_str());
}

namespace {

int parse_and_run(CLI::App& app, int argc, char** argv, const int& exit_code) {
  try {
    app.parse(argc, argv);
    return exit_code;
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::CallForAllHelp& help) {
    return app.exit(help);
  } catch (const CLI::CallForVersion& version) {
    return app.exit(version);
  } catch (const CLI::ParseError& error) {
    tell(std::string(error.what()) + "; see pando --help");
    return cluster::kExitUserMistake;
  } catch (const UserError& error) {
    tell(error.what());
    return cluster::kExitUserMistake;
  } catch (const cluster::NotUp& error) {
    tell(error.what());
    return error.exit_code();
  } catch (const cluster::ControlError& error) {
    tell(error.what());
    return cluster::kExitNodeLost;
  } catch (const std::exception& error) {
    tell(error.what());
    return cluster::kExitInternal;
  }
}

int run(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);  // a closed pipe is an error of write()
  int exit_code = cluster::kExitFine;
  CLI::App app("Pando boots one Linux across several hosts.", "pando");
  app.require_subcommand(1);
  app.set_version_flag("--version", "pando " PANDO_VERSION);
  add_check(app, exit_code);
  add_up(app, exit_code);
  add_run(app, exit_code);
  add_console(app, exit_code);
  add_status(app, exit_code);
  add_top(app, exit_code);
  add_trace(app, exit_code);
  add_report(app, exit_code);
  add_gdb(app, exit_code);
  add_logs(app, exit_code);
  add_down(app, exit_code);
  add_init(app, exit_code);
  add_pack(app, exit_code);
  add_completion(app, exit_code);
  add_hold(app, exit_code);
  return parse_and_run(app, argc, argv, exit_code);
}

}  // namespace
}  // namespace pando::cli

int main(int argc, char** argv) {
  return pando::cli::run(argc, argv);
}
