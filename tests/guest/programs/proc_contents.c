// SPDX-License-Identifier: Apache-2.0
/* /proc shows this process and machine: maps, stat, status, cmdline, fd, task, meminfo, uptime,
 * sys. */
#include <sys/prctl.h>
#include <sys/utsname.h>

#include "guest_test.h"

static char text[1 << 18];

static void contains(const char* path, const char* what) {
  gt_read_file(path, text, sizeof text);
  if (!strstr(text, what)) gt_fail(__FILE__, __LINE__, "%s does not contain '%s'", path, what);
}

static long number(const char* path, const char* key) {
  gt_read_file(path, text, sizeof text);
  const char* const at = strstr(text, key);
  if (!at) gt_fail(__FILE__, __LINE__, "%s has no %s", path, key);
  return strtol(at + strlen(key), NULL, 10);
}

int main(int argc, char** argv) {
  char line[128];
  struct utsname name;
  gt_begin(argc, argv);
  CHECK(prctl(PR_SET_NAME, "proc_test") == 0);
  contains("/proc/self/stat", "(proc_test) R");
  contains("/proc/self/comm", "proc_test");
  CHECK_EQ(number("/proc/self/status", "Pid:"), getpid());
  CHECK_EQ(number("/proc/self/status", "Threads:"), 1);
  CHECK(number("/proc/self/status", "VmRSS:") > 0);
  void* const at = gt_map(3 * GT_PAGE);
  CHECK(mprotect(at, 3 * GT_PAGE, PROT_READ) == 0);
  snprintf(line, sizeof line, "%lx-", (unsigned long)at);
  contains("/proc/self/maps", line);
  contains("/proc/self/maps", "[stack]");
  contains("/proc/self/smaps", "Rss:");
  gt_read_file("/proc/self/cmdline", text, sizeof text);
  CHECK(strcmp(text, argv[0]) == 0);
  snprintf(line, sizeof line, "/proc/self/task/%d/stat", getpid());
  CHECK(access(line, R_OK) == 0);
  CHECK(readlink("/proc/self/exe", text, sizeof text) > 0 &&
        readlink("/proc/self/fd/1", text, 9) > 0);
  CHECK(number("/proc/meminfo", "MemTotal:") >= 64 * 1024);
  CHECK(number("/proc/meminfo", "MemFree:") <= number("/proc/meminfo", "MemTotal:"));
  CHECK(number("/proc/stat", "processes ") > 0 && number("/proc/stat", "btime ") > 0);
  CHECK(number("/proc/uptime", "") < 1000000000);
  contains("/proc/version", "Linux version ");
  contains("/proc/filesystems", "tmpfs");
  contains("/proc/mounts", " /proc proc ");
  CHECK(number("/proc/sys/kernel/pid_max", "") > 300);
  CHECK(uname(&name) == 0 && strcmp(name.machine, "x86_64") == 0 &&
        strcmp(name.sysname, "Linux") == 0);
  return gt_ok();
}
