// SPDX-License-Identifier: Apache-2.0
#include "tools/check/judge.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <map>

#include "tools/check/host_report.h"

namespace pando::check {
namespace {

constexpr uint64_t kMapCountWanted = 65530;  // the kernel's own default
constexpr std::chrono::seconds kClockWarning{2};
constexpr std::chrono::hours kClockError{1};  // certificates begin one hour before they were made
constexpr int kKernelMajor = 6, kKernelMinor = 4;

class Judge {
 public:
  Judge(const config::ClusterConfig& config, const std::vector<NodeReport>& reports)
      : config_(config), reports_(reports) {}

  std::vector<Finding> all() {
    for (size_t i = 0; i < reports_.size(); ++i) {
      node_ = config_.nodes[i].name;
      judge_kernel(reports_[i].host);
      judge_userfaultfd(reports_[i].host);
      judge_limits(reports_[i].host);
      judge_memory(config_.nodes[i], reports_[i].host);
      judge_listen(config_.nodes[i], reports_[i].host);
      judge_programs(reports_[i].host);
      judge_clock(reports_[i]);
    }
    judge_processors();
    return std::move(findings_);
  }

 private:
  void add(Severity severity, const std::string& sentence, const std::string& remedy = "") {
    findings_.push_back({node_, severity, sentence, remedy});
  }

  void judge_kernel(const v1::HostReport& host) {
    int major = 0, minor = 0;
    std::sscanf(host.kernel_release().c_str(), "%d.%d", &major, &minor);
    const std::string what = "Linux " + host.kernel_release() + " on " + host.machine();
    if (host.machine() != "x86_64") {
      add(Severity::Error, what + ": Pando runs on x86_64", "use another host");
    } else if (major < kKernelMajor || (major == kKernelMajor && minor < kKernelMinor)) {
      add(Severity::Error, what + " is too old", "install Linux 6.4 or newer");
    } else {
      add(Severity::Fine, what);
    }
  }

  void judge_userfaultfd(const v1::HostReport& host) {
    if (!host.userfaultfd_error().empty()) {
      add(Severity::Error, host.userfaultfd_error(),
          "allow the system call userfaultfd (in a container: by its seccomp profile), or enable "
          "CONFIG_USERFAULTFD");
      return;
    }
    std::string missing;
    for (const UffdFeature& feature : needed_uffd_features()) {
      if ((host.userfaultfd_features() & feature.bit) != 0) continue;
      missing += std::string(missing.empty() ? "" : ", ") + feature.name + " (Linux " +
                 feature.since + ")";
    }
    if (!missing.empty()) {
      add(Severity::Error, "userfaultfd lacks: " + missing, "install Linux 6.4 or newer");
    } else {
      add(Severity::Fine, "userfaultfd has all that is needed");
    }
  }

  void judge_limits(const v1::HostReport& host) {
    if (host.max_map_count() < kMapCountWanted) {
      add(Severity::Warning,
          "vm.max_map_count is " + std::to_string(host.max_map_count()) +
              ": big guests will be slow",
          "sysctl -w vm.max_map_count=262144");
    }
    if (host.address_space_limited()) {
      add(Severity::Error, "the address space of processes is limited", "ulimit -v unlimited");
    }
  }

  void judge_memory(const config::NodeConfig& node, const v1::HostReport& host) {
    uint64_t foreign = 0;
    for (const config::NodeConfig& other : config_.nodes)
      foreign += &other == &node ? 0 : other.memory_bytes;
    const uint64_t needed =
        node.memory_bytes + std::min(node.cache_bytes.value_or(foreign), foreign);
    const auto mib = [](uint64_t bytes) { return std::to_string(bytes >> 20) + " MiB"; };
    const std::string have = mib(host.memory_available_bytes()) + " of memory are available";
    if (host.memory_available_bytes() < node.memory_bytes) {
      add(Severity::Error, have + ", the node's own share is " + mib(node.memory_bytes),
          "lower memory of this node");
    } else if (host.memory_available_bytes() < needed) {
      add(Severity::Warning, have + ", with pages of other nodes it may need " + mib(needed),
          "set or lower cache of this node");
    } else {
      add(Severity::Fine, have + ", " + mib(needed) + " may be needed");
    }
  }

  void judge_listen(const config::NodeConfig& node, const v1::HostReport& host) {
    const std::string address = node.listen.text();
    if (host.listen_error().empty()) {
      add(Severity::Fine, "can listen on " + address);
    } else {
      add(Severity::Error, "cannot listen on " + address + ": " + host.listen_error(),
          "correct listen of this node, or end what uses the port");
    }
  }

  void judge_programs(const v1::HostReport& host) {
    for (const std::string& program : host.programs_missing()) {
      add(Severity::Error, program + " is not there", "build it with tools/build");
    }
    const std::string& wanted = reports_.front().host.version();
    if (host.version() != wanted) {
      add(Severity::Error,
          "has version " + host.version() + ", node " + config_.nodes.front().name + " has " +
              wanted,
          "install the same version on both");
    }
  }

  void judge_clock(const NodeReport& report) {
    const auto off =
        report.clock_ahead < std::chrono::nanoseconds(0) ? -report.clock_ahead : report.clock_ahead;
    if (off <= kClockWarning + report.clock_error) return;
    char text[80];
    std::snprintf(text, sizeof text, "the clock is %.1f s off",
                  std::chrono::duration<double>(off).count());
    const bool fatal = config_.security.tls && off > kClockError;
    add(fatal ? Severity::Error : Severity::Warning,
        text + std::string(fatal ? ": certificates would be refused" : ""),
        "set the clocks by NTP");
  }

  // Guest code sees the processor that it runs on, and may run on any.
  void judge_processors() {
    const auto& first = reports_.front().host.cpu_flags();
    for (size_t i = 1; i < reports_.size(); ++i) {
      const auto& other = reports_[i].host.cpu_flags();
      std::vector<std::string> only_first, only_other;
      std::set_difference(first.begin(), first.end(), other.begin(), other.end(),
                          std::back_inserter(only_first));
      std::set_difference(other.begin(), other.end(), first.begin(), first.end(),
                          std::back_inserter(only_other));
      node_ = config_.nodes[i].name;
      if (only_first.empty() && only_other.empty()) {
        add(Severity::Fine, "the processor has the features of node " + config_.nodes.front().name);
        continue;
      }
      std::string sentence =
          "the processor differs from that of node " + config_.nodes.front().name + ":";
      for (const std::string& flag : only_first) sentence += " -" + flag;
      for (const std::string& flag : only_other) sentence += " +" + flag;
      add(Severity::Error, sentence, "use hosts with the same processor features");
    }
  }

  const config::ClusterConfig& config_;
  const std::vector<NodeReport>& reports_;
  std::string node_;
  std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> judge(const config::ClusterConfig& config,
                           const std::vector<NodeReport>& reports) {
  return Judge(config, reports).all();
}

}  // namespace pando::check
