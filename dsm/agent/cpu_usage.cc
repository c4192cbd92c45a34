// SPDX-License-Identifier: Apache-2.0
#include "dsm/agent/cpu_usage.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "base/unique_fd.h"

namespace pando::dsm {

namespace {

struct Process {
  pid_t parent = 0;
  uint64_t ticks = 0;
};

// proc(5), /proc/PID/stat: the name in parentheses may contain anything.
bool read_process(const char* pid, Process& out) {
  const UniqueFd fd(open((std::string("/proc/") + pid + "/stat").c_str(), O_RDONLY | O_CLOEXEC));
  char text[1024];
  const ssize_t n = fd ? read(fd.get(), text, sizeof text - 1) : -1;
  if (n <= 0) return false;
  text[n] = '\0';
  const char* name_end = std::strrchr(text, ')');
  unsigned long user = 0, system = 0;
  long dead_user = 0, dead_system = 0;
  if (!name_end || std::sscanf(name_end + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %ld %ld", &out.parent,
                               &user, &system, &dead_user, &dead_system) != 5)
    return false;
  out.ticks = user + system + static_cast<uint64_t>(dead_user) + static_cast<uint64_t>(dead_system);
  return true;
}

struct CloseDir {
  void operator()(DIR* dir) const { closedir(dir); }
};

}  // namespace

uint64_t tree_cpu_ns(pid_t root) {
  const std::unique_ptr<DIR, CloseDir> proc(opendir("/proc"));
  std::map<pid_t, uint64_t> ticks;
  std::multimap<pid_t, pid_t> children;
  while (const dirent* entry = proc ? readdir(proc.get()) : nullptr) {
    const int pid = std::atoi(entry->d_name);
    Process process;
    if (pid <= 0 || !read_process(entry->d_name, process)) continue;
    ticks[pid] = process.ticks;
    children.emplace(process.parent, pid);
  }
  uint64_t sum = 0;
  std::set<pid_t> seen, next{root};
  while (!next.empty()) {
    const pid_t pid = *next.begin();
    next.erase(next.begin());
    if (!ticks.contains(pid) || !seen.insert(pid).second) continue;
    sum += ticks[pid];
    for (auto [at, end] = children.equal_range(pid); at != end; ++at) next.insert(at->second);
  }
  return sum * (1'000'000'000 / static_cast<uint64_t>(sysconf(_SC_CLK_TCK)));
}

uint64_t own_cpu_ns() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec);
}

}  // namespace pando::dsm
