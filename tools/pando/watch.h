// SPDX-License-Identifier: Apache-2.0
// What top, trace and report have in common: which cluster, for how long, until Ctrl-C.
#pragma once

#include <CLI/CLI.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "base/unique_fd.h"
#include "tools/observe/collector.h"
#include "tools/observe/kernel_image.h"

namespace pando::cli {

struct WatchOptions {
  std::string cluster{};       // name or file; empty: the only one that runs
  std::string kernel_file{};   // with symbols; empty: what the cluster booted
  std::string time = "1s";
  size_t records_max = 200'000;
};
void add_watch_options(CLI::App& command, WatchOptions& options, const char* time_means);

class Watch {
 public:
  // Throws UserError: no such cluster, no such time.  From here on Ctrl-C and SIGTERM end collect() early.
  Watch(const WatchOptions& options, observe::Events events);

  // Collects for one interval.  Ended early by a signal or, if the input is watched, by the key q: stopped() is true.
  v1::Recording collect();
  bool stopped() const { return stopped_; }
  void watch_input() { watch_input_ = true; }
  // nullptr: the image cannot be read, numbers have to do.
  const observe::KernelImage* image() const { return image_ ? &*image_ : nullptr; }

 private:
  void wait_until(std::chrono::steady_clock::time_point end);

  UniqueFd signals_;
  std::chrono::nanoseconds length_;
  v1::ClusterState state_;
  std::optional<observe::KernelImage> image_;
  observe::Collector collector_;
  bool watch_input_ = false;
  bool stopped_ = false;
};

// Throws UserError when any node could not be asked at all: nothing useful was recorded.
void require_answers(const v1::Recording& recording);
// Writes all of it or throws UserError; "-" is the standard output.
void write_file(const std::string& path, const std::string& content);

}  // namespace pando::cli
