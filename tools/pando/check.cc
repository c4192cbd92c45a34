// SPDX-License-Identifier: Apache-2.0
// pando check FILE: preflight of every node.  Also `pando host-report`, which it runs on the nodes'
// hosts.
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "base/error.h"
#include "tools/check/host_report.h"
#include "tools/check/judge.h"
#include "tools/cluster/agent_process.h"
#include "tools/cluster/outcome.h"
#include "tools/cluster/plan.h"
#include "tools/cluster/spawn.h"
#include "tools/pando/command.h"

namespace pando::cli {
namespace {

using check::Finding;
using check::Severity;
using std::chrono::system_clock;

constexpr const char* kSeverityWords[] = {"ok", "warning", "error"};

// pando lies beside the node's pando-dsm.
config::NodeConfig with_pando(config::NodeConfig node) {
  if (node.program) node.program = std::filesystem::path(*node.program).replace_filename("pando");
  return node;
}

check::NodeReport ask(const config::NodeConfig& node, std::chrono::nanoseconds limit) {
  const std::string self = std::filesystem::read_symlink("/proc/self/exe");
  std::vector<std::string> command = cluster::launch_command(with_pando(node), self, "host-report");
  command.push_back(node.listen.text());
  const auto before = system_clock::now();
  const cluster::Captured captured = cluster::capture(command, limit);
  const auto after = system_clock::now();
  check::NodeReport report;
  const bool good = captured.wait_status && *captured.wait_status == 0 &&
                    google::protobuf::util::JsonStringToMessage(captured.out, &report.host).ok();
  if (!good) {
    const std::string how = captured.wait_status
                                ? cluster::describe_wait_status(*captured.wait_status)
                                : "did not end in time";
    throw UserError("'" + cluster::joined(command) + "' " + how + ": " +
                    captured.error.substr(0, 400));
  }
  const auto middle = before + (after - before) / 2;
  const std::chrono::nanoseconds there(report.host.unix_ns());
  report.clock_ahead =
      there - std::chrono::duration_cast<std::chrono::nanoseconds>(middle.time_since_epoch());
  report.clock_error = (after - before) / 2;
  return report;
}

void print_table(const std::vector<Finding>& findings) {
  for (const Finding& finding : findings) {
    std::printf("%-8s %s: %s%s%s\n", kSeverityWords[static_cast<int>(finding.severity)],
                finding.node.c_str(), finding.sentence.c_str(), finding.remedy.empty() ? "" : "; ",
                finding.remedy.c_str());
  }
}

void print_json(const std::vector<Finding>& findings) {
  google::protobuf::Struct out;
  auto& list = *(*out.mutable_fields())["findings"].mutable_list_value();
  for (const Finding& finding : findings) {
    auto& fields = *list.add_values()->mutable_struct_value()->mutable_fields();
    fields["node"].set_string_value(finding.node);
    fields["severity"].set_string_value(kSeverityWords[static_cast<int>(finding.severity)]);
    fields["sentence"].set_string_value(finding.sentence);
    fields["remedy"].set_string_value(finding.remedy);
  }
  google::protobuf::util::JsonPrintOptions print;
  print.add_whitespace = true;
  std::string json;
  CHECK(google::protobuf::util::MessageToJsonString(out, &json, print).ok());
  std::fputs(json.c_str(), stdout);
}

int check_cluster(const std::string& file, bool json) {
  const config::ClusterConfig config = config::load_cluster_config(file);
  std::vector<check::NodeReport> reports;
  std::vector<Finding> findings;
  for (const config::NodeConfig& node : config.nodes) {
    try {
      reports.push_back(ask(node, config.timeouts.launch));
    } catch (const UserError& error) {
      findings.push_back({node.name, Severity::Error, error.what(), "try that command by hand"});
    }
  }
  if (findings.empty()) findings = check::judge(config, reports);
  if (json) {
    print_json(findings);
  } else {
    print_table(findings);
  }
  const bool bad = std::any_of(findings.begin(), findings.end(), [](const Finding& finding) {
    return finding.severity == Severity::Error;
  });
  return bad ? cluster::kExitUserMistake : cluster::kExitFine;
}

int host_report(const std::string& listen) {
  const auto endpoint = config::parse_endpoint(listen);
  if (!endpoint)
    throw UserError("host-report: '" + listen.substr(0, 60) +
                    "' is no address; pando check starts this");
  std::string json;
  CHECK(google::protobuf::util::MessageToJsonString(check::report_host(*endpoint), &json).ok());
  std::puts(json.c_str());
  return cluster::kExitFine;
}

}  // namespace

void add_check(CLI::App& app, int& exit_code) {
  auto file = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand(
      "check", "look whether every node's host can run its node; names the remedies");
  command->add_option("FILE", *file, "cluster file")->required();
  command->add_flag("--json", *json, "for scripts");
  command->callback([=, &exit_code] { exit_code = check_cluster(*file, *json); });

  auto listen = std::make_shared<std::string>();
  CLI::App* report = app.add_subcommand("host-report", "started by pando check");
  report->group("");  // not shown in --help
  report->add_option("LISTEN", *listen)->required();
  report->callback([listen, &exit_code] { exit_code = host_report(*listen); });
}

}  // namespace pando::cli
