// SPDX-License-Identifier: Apache-2.0
// pando logs [NAME] [--node NODE]: what the nodes' processes wrote, also after the cluster has
// ended.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <vector>

#include "base/error.h"
#include "tools/cluster/outcome.h"
#include "tools/cluster/runtime_dir.h"
#include "tools/pando/command.h"

namespace pando::cli {
namespace {

namespace fs = std::filesystem;

// Every line with its node's name in front.
void print_log(const fs::path& file) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);)
    std::printf("%s: %s\n", file.stem().c_str(), line.c_str());
}

int logs(const std::string& name, const std::string& node) {
  const std::string folder = cluster::find_folder(name);
  std::vector<fs::path> files;
  for (const auto& item : fs::directory_iterator(folder)) {
    const bool wanted =
        item.path().extension() == ".log" && (node.empty() || item.path().stem() == node);
    if (wanted) files.push_back(item.path());
  }
  if (files.empty() && !node.empty())
    throw UserError("node " + node + " has no log in " + folder + "; check its name");
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) print_log(file);
  return cluster::kExitFine;
}

}  // namespace

void add_logs(CLI::App& app, int& exit_code) {
  auto name = std::make_shared<std::string>();
  auto node = std::make_shared<std::string>();
  CLI::App* command =
      app.add_subcommand("logs", "logs of the nodes, also of a cluster that has ended");
  command->add_option("NAME", *name, "cluster or cluster file; may be left out when only one runs");
  command->add_option("--node", *node, "of this node only");
  command->callback([=, &exit_code] { exit_code = logs(*name, *node); });
}

}  // namespace pando::cli
