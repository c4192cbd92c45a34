// SPDX-License-Identifier: Apache-2.0
/* All sources agree on the number of CPUs; an argument gives the number that is expected. */
#include <sys/sysinfo.h>

#include "guest_test.h"

static int lines_with(const char* path, const char* start) {
  static char text[1 << 18];
  int count = 0;

  gt_read_file(path, text, sizeof text);
  for (const char* line = text; line && *line; line = strchr(line, '\n'), line += line ? 1 : 0)
    count += strncmp(line, start, strlen(start)) == 0;
  return count;
}

int main(int argc, char** argv) {
  cpu_set_t set;
  unsetenv("PANDO_TEST_CPUS");
  gt_begin(argc, argv);
  const int online = get_nprocs();

  CHECK(sched_getaffinity(0, sizeof set, &set) == 0);
  CHECK_EQ(CPU_COUNT(&set), online);
  CHECK_EQ(sysconf(_SC_NPROCESSORS_ONLN), online);
  CHECK_EQ(lines_with("/proc/stat", "cpu") - 1, online);
  CHECK_EQ(lines_with("/proc/cpuinfo", "processor"), online);
  if (gt_argc > 0) CHECK_EQ(online, atoi(gt_argv[0]));
  return gt_ok();
}
