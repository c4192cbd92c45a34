// SPDX-License-Identifier: Apache-2.0
// The subcommands of pando.  Each add_ function describes one to CLI11; its callback puts the exit
// code into `exit_code`, and throws UserError for mistakes of the user.
#pragma once

#include <CLI/CLI.hpp>

#include <string>

namespace pando::cli {

void add_run(CLI::App& app, int& exit_code);
void add_up(CLI::App& app, int& exit_code);
void add_check(CLI::App& app, int& exit_code);  // and host-report
void add_console(CLI::App& app, int& exit_code);
void add_status(CLI::App& app, int& exit_code);
void add_top(CLI::App& app, int& exit_code);
void add_trace(CLI::App& app, int& exit_code);
void add_report(CLI::App& app, int& exit_code);
void add_gdb(CLI::App& app, int& exit_code);
void add_logs(CLI::App& app, int& exit_code);
void add_down(CLI::App& app, int& exit_code);
void add_init(CLI::App& app, int& exit_code);
void add_pack(CLI::App& app, int& exit_code);
void add_completion(CLI::App& app, int& exit_code);
void add_hold(CLI::App& app, int& exit_code);

// For a line of progress or a message to the user, on stderr.
void tell(const std::string& line);

}  // namespace pando::cli
