// SPDX-License-Identifier: Apache-2.0
// pando report [NAME] -o FILE: one HTML page about a recording, made now or read from a file.
#include <fcntl.h>
#include <google/protobuf/util/json_util.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "base/error.h"
#include "tools/cluster/outcome.h"
#include "tools/observe/report_page.h"
#include "tools/pando/command.h"
#include "tools/pando/watch.h"

namespace pando::cli {
namespace {

constexpr off_t kRecordingBytesMax = off_t{2} << 30;

struct ReportOptions {
  WatchOptions watch{.time = "10s"};
  std::string output = "pando-report.html";
  std::string from;
};

std::string read_file(const std::string& path) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat st {};
  if (!file || fstat(file.get(), &st) != 0)
    throw UserError(path + ": cannot be read (" + std::strerror(errno) + "); make it with: pando trace --recording -o FILE");
  if (!S_ISREG(st.st_mode) || st.st_size > kRecordingBytesMax) throw UserError(path + ": is no recording: no file, or too big");
  std::string text(static_cast<size_t>(st.st_size), '\0');
  for (size_t at = 0; at < text.size();) {
    const ssize_t n = read(file.get(), text.data() + at, text.size() - at);
    if (n <= 0) throw UserError(path + ": cannot be read to its end");
    at += static_cast<size_t>(n);
  }
  return text;
}

v1::Recording read_recording(const std::string& path) {
  v1::Recording recording;
  if (!google::protobuf::util::JsonStringToMessage(read_file(path), &recording).ok() || recording.nodes().empty())
    throw UserError(path + ": is no recording; make one with: pando trace --recording -o FILE");
  return recording;
}

int report_from_file(const ReportOptions& options) {
  const v1::Recording recording = read_recording(options.from);
  const std::string kernel = options.watch.kernel_file.empty() ? recording.kernel_file() : options.watch.kernel_file;
  std::optional<observe::KernelImage> image;
  try {
    image = observe::KernelImage::read(kernel);
  } catch (const UserError& error) {
    tell(std::string(error.what()) + "; going on without symbols (--kernel names another image)");
  }
  write_file(options.output, observe::report_page(observe::Analysis(recording, image ? &*image : nullptr)));
  return cluster::kExitFine;
}

int report(const ReportOptions& options) {
  if (!options.from.empty()) return report_from_file(options);
  Watch watch(options.watch, observe::Events::No);
  const v1::Recording recording = watch.collect();
  require_answers(recording);
  write_file(options.output, observe::report_page(observe::Analysis(recording, watch.image())));
  if (options.output != "-") tell("written to " + options.output);
  return cluster::kExitFine;
}

}  // namespace

void add_report(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<ReportOptions>();
  CLI::App* command = app.add_subcommand("report", "one HTML page: heat map of pages, latencies, traffic, advice");
  add_watch_options(*command, options->watch, "how long to watch; Ctrl-C ends it early");
  command->add_option("-o,--output", options->output, "file to write; - is the standard output")->capture_default_str();
  command->add_option("--from", options->from, "a recording of pando trace --recording, instead of a running cluster");
  command->callback([=, &exit_code] { exit_code = report(*options); });
}

}  // namespace pando::cli
