// SPDX-License-Identifier: Apache-2.0
// pando trace [NAME] -o FILE: a timeline of all nodes for Perfetto; or the recording itself, for pando report.
#include <fcntl.h>
#include <google/protobuf/util/json_util.h>

#include <cstdio>
#include <memory>

#include "base/error.h"
#include "tools/cluster/outcome.h"
#include "tools/observe/chrome_trace.h"
#include "tools/pando/command.h"
#include "tools/pando/watch.h"

namespace pando::cli {
namespace {

struct TraceOptions {
  WatchOptions watch{.time = "10s"};
  std::string output = "pando-trace.json";
  bool recording = false;
};

std::string chrome_text(const v1::Recording& recording, const observe::KernelImage* image) {
  const observe::Naming naming(recording, image);
  std::string text;
  observe::write_chrome_trace(recording, naming, [&](const std::string& piece) { text += piece; });
  return text;
}

std::string recording_text(const v1::Recording& recording) {
  google::protobuf::util::JsonPrintOptions print;
  print.preserve_proto_field_names = true;
  std::string text;
  CHECK(google::protobuf::util::MessageToJsonString(recording, &text, print).ok());
  return text + "\n";
}

int trace(const TraceOptions& options) {
  Watch watch(options.watch, observe::Events::Yes);
  const v1::Recording recording = watch.collect();
  require_answers(recording);
  write_file(options.output, options.recording ? recording_text(recording) : chrome_text(recording, watch.image()));
  for (const v1::RecordedNode& node : recording.nodes()) {
    if (!node.error().empty()) {
      tell(node.error());
      continue;
    }
    tell("node " + node.name() + ": " + std::to_string(node.faults_size()) + " faults, " +
         std::to_string(node.events_size()) + " events; lost: " + std::to_string(node.faults_lost()) + " faults, " +
         std::to_string(node.events_lost()) + " events");
  }
  if (options.output != "-")
    tell("written to " + options.output +
         (options.recording ? "; pando report --from shows it" : "; open it in https://ui.perfetto.dev or chrome://tracing"));
  return cluster::kExitFine;
}

}  // namespace

void add_trace(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<TraceOptions>();
  CLI::App* command = app.add_subcommand("trace", "record a timeline of faults, messages, interrupts for Perfetto");
  add_watch_options(*command, options->watch, "how long, at most; Ctrl-C ends it early");
  command->add_option("-o,--output", options->output, "file to write; - is the standard output")->capture_default_str();
  command->add_option("--limit", options->watch.records_max, "faults and events kept per node; what comes later is counted")
      ->capture_default_str()->check(CLI::Range(1, 5'000'000));
  command->add_flag("--recording", options->recording, "write the recording itself, for pando report --from");
  command->callback([=, &exit_code] { exit_code = trace(*options); });
}

}  // namespace pando::cli
