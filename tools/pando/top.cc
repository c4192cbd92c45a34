// SPDX-License-Identifier: Apache-2.0
// pando top [NAME] [--once] [--json]: which pages the nodes fight over, live.
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "base/error.h"
#include "tools/cluster/outcome.h"
#include "tools/cluster/terminal.h"
#include "tools/observe/top_view.h"
#include "tools/pando/command.h"
#include "tools/pando/watch.h"

namespace pando::cli {
namespace {

constexpr const char* kEnterScreen = "\x1b[?1049h\x1b[?25l";  // xterm: other screen, no cursor
constexpr const char* kLeaveScreen = "\x1b[?25h\x1b[?1049l";
constexpr const char* kHome = "\x1b[H";
constexpr const char* kClearRest = "\x1b[J";

struct TopOptions {
  WatchOptions watch;
  bool once = false, json = false;
  size_t places = 20;
};

// The terminal as it was, whatever happens.
class Screen {
 public:
  Screen() : raw_(0) { std::fputs(kEnterScreen, stdout); }
  ~Screen() {
    std::fputs(kLeaveScreen, stdout);
    std::fflush(stdout);
  }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  void show(const observe::Analysis& analysis) const {
    winsize size{};
    if (ioctl(1, TIOCGWINSZ, &size) != 0 || size.ws_col < 40 || size.ws_row < 10) size = {24, 80, 0, 0};
    observe::TableSize table{.columns = size.ws_col};
    const size_t fixed = 8 + static_cast<size_t>(analysis.recording.nodes_size()) + 2 * table.advice_max;
    table.places_max = size.ws_row > fixed ? size.ws_row - fixed : 3;
    std::string text = kHome;
    for (const char c : observe::top_table(analysis, table) + "\n  q: end") {
      if (c == '\n') text += "\x1b[K\r";
      text += c;
    }
    text += kClearRest;
    std::fputs(text.c_str(), stdout);
    std::fflush(stdout);
  }

 private:
  cluster::RawTerminal raw_;
};

void print(const TopOptions& options, const observe::Analysis& analysis) {
  const std::string text = options.json ? observe::top_json(analysis, options.places)
                                        : observe::top_table(analysis, {.columns = 200, .places_max = options.places});
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

int top(const TopOptions& options) {
  Watch watch(options.watch, observe::Events::No);
  const bool live = !options.once && !options.json && isatty(1) == 1;
  std::optional<Screen> screen;
  if (live) {
    watch.watch_input();
    screen.emplace();
  }
  for (bool first = true; first || !(options.once || watch.stopped()); first = false) {
    const v1::Recording recording = watch.collect();
    require_answers(recording);
    const observe::Analysis analysis(recording, watch.image());
    if (screen)
      screen->show(analysis);
    else
      print(options, analysis);
    if (std::ferror(stdout) != 0) break;  // nobody reads any more
  }
  return cluster::kExitFine;
}

}  // namespace

void add_top(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<TopOptions>();
  CLI::App* command = app.add_subcommand("top", "which pages the nodes fight over, by symbol or process, and advice");
  add_watch_options(*command, options->watch, "time between two looks, as in 500ms or 10s");
  command->add_flag("--once", options->once, "one look, then end");
  command->add_flag("--json", options->json, "for scripts: an object for each look, see docs/observe.md");
  command->add_option("--places", options->places, "hot places to name")->capture_default_str()->check(CLI::Range(1, 10000));
  command->callback([=, &exit_code] { exit_code = top(*options); });
}

}  // namespace pando::cli
