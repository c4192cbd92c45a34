// SPDX-License-Identifier: Apache-2.0
#include "tools/pando/watch.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/error.h"
#include "tools/cluster/runtime_dir.h"
#include "tools/config/quantity.h"
#include "tools/pando/command.h"

namespace pando::cli {
namespace {

using Clock = std::chrono::steady_clock;

// How often the agents' rings are emptied: 65536 events last for 0.2 s at 300,000 messages per second.
constexpr std::chrono::milliseconds kDrain{200};

UniqueFd take_end_signals() {
  sigset_t ends;
  sigemptyset(&ends);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&ends, signal);
  check_pthread(pthread_sigmask(SIG_BLOCK, &ends, nullptr), "pthread_sigmask");
  return UniqueFd(static_cast<int>(check_errno(signalfd(-1, &ends, SFD_CLOEXEC), "signalfd")));
}

std::chrono::nanoseconds parse_length(const std::string& text) {
  const auto time = config::parse_duration(text);
  if (!time || *time < std::chrono::milliseconds(100) || *time > std::chrono::hours(1))
    throw UserError("--time: '" + text + "' is no time from 100ms to 1h; write it as in 10s");
  return *time;
}

std::optional<observe::KernelImage> read_image(const std::string& path) {
  try {
    return observe::KernelImage::read(path);
  } catch (const UserError& error) {
    tell(std::string(error.what()) + "; going on without symbols (--kernel names another image)");
    return std::nullopt;
  }
}

}  // namespace

void add_watch_options(CLI::App& command, WatchOptions& options, const char* time_means) {
  command.add_option("NAME", options.cluster, "cluster or cluster file; default: the one that runs");
  command.add_option("--kernel", options.kernel_file, "image with symbols; default: what the cluster booted");
  command.add_option("--time", options.time, time_means)->capture_default_str();
}

Watch::Watch(const WatchOptions& options, observe::Events events)
    : signals_(take_end_signals()), length_(parse_length(options.time)), state_(cluster::find_running(options.cluster)),
      image_(read_image(options.kernel_file.empty() ? state_.kernel_file() : options.kernel_file)),
      collector_(state_, events, options.records_max) {}

void Watch::wait_until(Clock::time_point end) {
  while (!stopped_) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
    if (left.count() <= 0) return;
    pollfd fds[] = {{signals_.get(), POLLIN, 0}, {watch_input_ ? 0 : -1, POLLIN, 0}};
    if (poll(fds, 2, static_cast<int>(left.count())) < 0 && errno != EINTR) throw HostError("poll", errno);
    stopped_ = fds[0].revents != 0;
    if (fds[1].revents == 0) continue;
    char keys[64];
    const ssize_t n = read(0, keys, sizeof keys);
    if (n <= 0) watch_input_ = false;
    for (ssize_t i = 0; i < n; ++i) stopped_ |= keys[i] == 'q' || keys[i] == 3;  // 3: Ctrl-C in raw mode
  }
}

v1::Recording Watch::collect() {
  collector_.begin();
  const auto end = Clock::now() + length_;
  while (!stopped_ && Clock::now() < end) {
    wait_until(std::min(end, Clock::now() + kDrain));
    collector_.drain();
  }
  return collector_.finish();
}

void require_answers(const v1::Recording& recording) {
  const auto failed = [](const v1::RecordedNode& n) { return !n.error().empty(); };
  if (std::ranges::any_of(recording.nodes(), std::not_fn(failed))) return;
  throw UserError(recording.nodes().empty() ? "the cluster has no nodes" : recording.nodes(0).error());
}

void write_file(const std::string& path, const std::string& content) {
  const UniqueFd file(path == "-" ? dup(1) : open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file) throw UserError(path + ": cannot be written (" + std::strerror(errno) + "); name another file with -o");
  for (size_t at = 0; at < content.size();) {
    const ssize_t n = write(file.get(), content.data() + at, content.size() - at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw UserError(path + ": cannot be written (" + std::strerror(errno) + "); name another file with -o");
    at += static_cast<size_t>(n);
  }
}

}  // namespace pando::cli
