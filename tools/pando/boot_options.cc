// SPDX-License-Identifier: Apache-2.0
#include "tools/pando/boot_options.h"

#include <pthread.h>
#include <signal.h>

#include "base/error.h"
#include "base/types.h"
#include "tools/config/schema.h"
#include "tools/pando/command.h"

namespace pando::cli {
namespace {

void check_limits(const std::string& option, const char* key, uint64_t value) {
  const config::KeySpec& spec = config::find_key("node", key);
  if (value >= spec.least && value <= spec.most &&
      value % (option == "--memory" ? kPageSize : 1) == 0)
    return;
  throw UserError(option + ": is out of range; docs/config.md has the limits of '" + key + "'");
}

void change_nodes(config::ClusterConfig& config, const BootOptions& options) {
  if (options.vcpus != 0) {
    check_limits("--vcpus", "vcpus", options.vcpus);
    if (options.vcpus * config.nodes.size() > static_cast<size_t>(kVcpusMax)) {
      throw UserError("--vcpus: the nodes would have more than " + std::to_string(kVcpusMax) +
                      " virtual CPUs together; use fewer");
    }
    for (config::NodeConfig& node : config.nodes) node.vcpus = options.vcpus;
  }
  if (!options.memory.empty()) {
    const auto bytes = config::parse_bytes(options.memory);
    if (!bytes)
      throw UserError("--memory: '" + options.memory + "' is no size; write it as in 512MiB");
    check_limits("--memory", "memory", *bytes);
    for (config::NodeConfig& node : config.nodes) node.memory_bytes = *bytes;
  }
}

}  // namespace

void describe(CLI::App& command, BootOptions& options) {
  command.add_option("FILE", options.file, "cluster file (TOML; see docs/config.md)")->required();
  command.add_option("--kernel", options.kernel, "guest kernel instead of the file's");
  command
      .add_option("--initrd", options.initrds,
                  "cpio archive instead of the file's; may be repeated")
      ->allow_extra_args(false);
  command.add_option("--append", options.append, "added to the guest's kernel command line");
  command.add_option("--vcpus", options.vcpus, "virtual CPUs of every node instead of the file's");
  command.add_option("--memory", options.memory,
                     "memory of every node instead of the file's, such as 512MiB");
  command.add_flag("--wait-gdb", options.wait_debugger,
                   "stop before the first instruction until pando gdb says continue");
  command.add_flag("-v,--verbose", options.verbose, "show progress and the guest's console");
}

std::vector<std::string> words_of(const BootOptions& options) {
  std::vector<std::string> words;
  const auto option = [&](const char* name, const std::string& value) {
    if (!value.empty()) words.push_back(std::string(name) + "=" + value);
  };
  option("--kernel", options.kernel);
  for (const std::string& initrd : options.initrds) option("--initrd", initrd);
  option("--append", options.append);
  if (options.vcpus != 0) option("--vcpus", std::to_string(options.vcpus));
  option("--memory", options.memory);
  words.insert(words.end(), {"--", options.file});
  return words;
}

config::ClusterConfig load(const BootOptions& options) {
  config::ClusterConfig config = config::load_cluster_config(options.file);
  if (!options.kernel.empty()) config.kernel = options.kernel;
  if (!options.initrds.empty()) config.initrds = options.initrds;
  if (!options.append.empty()) config.append += (config.append.empty() ? "" : " ") + options.append;
  config.wait_debugger = options.wait_debugger;
  change_nodes(config, options);
  return config;
}

void block_session_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, number);
  check_pthread(::pthread_sigmask(SIG_BLOCK, &set, nullptr), "pthread_sigmask");
}

std::function<void(const std::string&)> progress(bool wanted) {
  if (!wanted) return {};
  return [](const std::string& line) { tell(line); };
}

}  // namespace pando::cli
