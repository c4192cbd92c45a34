// SPDX-License-Identifier: Apache-2.0
#include "tools/check/host_report.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <netdb.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include "base/unique_fd.h"

// Newer than Debian 12's headers; value from the kernel's include/uapi/linux/userfaultfd.h.
#ifndef UFFD_FEATURE_WP_HUGETLBFS_SHMEM
#define UFFD_FEATURE_WP_HUGETLBFS_SHMEM (1 << 12)
#endif

namespace pando::check {
namespace {

std::string read_file(const char* path) {
  std::ifstream in(path);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

void probe_kernel(v1::HostReport& report) {
  utsname names{};
  if (::uname(&names) == 0) {
    report.set_kernel_release(names.release);
    report.set_machine(names.machine);
  }
  report.set_max_map_count(
      std::strtoull(read_file("/proc/sys/vm/max_map_count").c_str(), nullptr, 10));
  rlimit limit{};
  report.set_address_space_limited(::getrlimit(RLIMIT_AS, &limit) == 0 &&
                                   limit.rlim_cur != RLIM_INFINITY);
}

// As the node's processes open it: for faults of user mode, which needs no privilege.
void probe_userfaultfd(v1::HostReport& report) {
  const UniqueFd fd(
      static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY)));
  if (!fd) {
    report.set_userfaultfd_error(std::string("userfaultfd: ") + std::strerror(errno));
    return;
  }
  uffdio_api api{};
  api.api = UFFD_API;
  if (::ioctl(fd.get(), UFFDIO_API, &api) != 0) {
    report.set_userfaultfd_error(std::string("UFFDIO_API: ") + std::strerror(errno));
    return;
  }
  report.set_userfaultfd_features(api.features);
}

std::string cpu_model(std::string_view cpuinfo) {
  const size_t key = cpuinfo.find("model name");
  const size_t colon = key == cpuinfo.npos ? key : cpuinfo.find(": ", key);
  if (colon == cpuinfo.npos) return "";
  return std::string(cpuinfo.substr(colon + 2, cpuinfo.find('\n', colon) - colon - 2));
}

void probe_hardware(v1::HostReport& report) {
  const std::string meminfo = read_file("/proc/meminfo");
  report.set_memory_total_bytes(parse_meminfo(meminfo, "MemTotal"));
  report.set_memory_available_bytes(parse_meminfo(meminfo, "MemAvailable"));
  report.set_cpus(static_cast<uint32_t>(::sysconf(_SC_NPROCESSORS_ONLN)));
  const std::string cpuinfo = read_file("/proc/cpuinfo");
  report.set_cpu_model(cpu_model(cpuinfo));
  for (const std::string& flag : parse_cpu_flags(cpuinfo)) report.add_cpu_flags(flag);
}

// Binds the address for a moment.
std::string try_listen(const config::Endpoint& listen) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int error =
      ::getaddrinfo(listen.host.c_str(), std::to_string(listen.port).c_str(), &hints, &found);
  if (error != 0) return ::gai_strerror(error);
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  const UniqueFd fd(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int yes = 1;  // as the agent does: connections of an earlier run that linger do not matter
  const bool good =
      fd.valid() && ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
      ::bind(fd.get(), found->ai_addr, found->ai_addrlen) == 0 && ::listen(fd.get(), 1) == 0;
  return good ? "" : std::strerror(errno);
}

void probe_programs(v1::HostReport& report) {
  std::error_code error;
  const auto folder = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  for (const char* program : {"pando-dsm", "pando-vmm"}) {
    if (::access((folder / program).c_str(), X_OK) != 0)
      report.add_programs_missing(folder / program);
  }
}

}  // namespace

const std::vector<UffdFeature>& needed_uffd_features() {
  static const std::vector<UffdFeature> features = {
      {UFFD_FEATURE_SIGBUS, "faults as signals", "4.14"},
      {UFFD_FEATURE_MISSING_SHMEM, "missing pages of shared memory", "4.11"},
      {UFFD_FEATURE_MINOR_SHMEM, "minor faults of shared memory", "5.14"},
      {UFFD_FEATURE_WP_HUGETLBFS_SHMEM, "write protection of shared memory", "5.19"},
  };
  return features;
}

std::vector<std::string> parse_cpu_flags(std::string_view cpuinfo) {
  const size_t line = cpuinfo.find("\nflags");
  const size_t colon = line == cpuinfo.npos ? line : cpuinfo.find(':', line);
  if (colon == cpuinfo.npos) return {};
  std::istringstream words(
      std::string(cpuinfo.substr(colon + 1, cpuinfo.find('\n', colon) - colon - 1)));
  std::vector<std::string> flags;
  for (std::string flag; words >> flag;) flags.push_back(flag);
  std::sort(flags.begin(), flags.end());
  flags.erase(std::unique(flags.begin(), flags.end()), flags.end());
  return flags;
}

uint64_t parse_meminfo(std::string_view meminfo, std::string_view key) {
  const std::string wanted = std::string(key) + ":";
  size_t at = meminfo.rfind(wanted, 0) == 0 ? 0 : meminfo.find("\n" + wanted);
  if (at == meminfo.npos) return 0;
  at = meminfo.find_first_of("0123456789", at);
  if (at == meminfo.npos) return 0;
  uint64_t kib = 0;
  std::from_chars(meminfo.data() + at, meminfo.data() + meminfo.size(), kib);
  return kib * 1024;
}

v1::HostReport report_host(const config::Endpoint& listen) {
  v1::HostReport report;
  report.set_version(PANDO_VERSION);
  probe_kernel(report);
  probe_userfaultfd(report);
  probe_hardware(report);
  probe_programs(report);
  report.set_listen_error(try_listen(listen));
  report.set_unix_ns(std::chrono::duration_cast<std::chrono::nanoseconds>(
                         std::chrono::system_clock::now().time_since_epoch())
                         .count());
  return report;
}

}  // namespace pando::check
