// SPDX-License-Identifier: Apache-2.0
/* sysfs lists the CPUs and the NUMA nodes; every CPU belongs to a node and nodes have distances. */
#include <sys/sysinfo.h>

#include "guest_test.h"

/* Number of members of a list such as 0-2,5. */
static int list_length(const char* list) {
  int count = 0;
  while (*list >= '0' && *list <= '9') {
    char* end;
    const long first = strtol(list, &end, 10),
               last = *end == '-' ? strtol(end + 1, &end, 10) : first;
    count += (int)(last - first + 1);
    list = *end == ',' ? end + 1 : end;
  }
  return count;
}

int main(int argc, char** argv) {
  char text[4096], path[96];
  int cpus_of_nodes = 0;
  gt_begin(argc, argv);
  gt_read_file("/sys/devices/system/cpu/online", text, sizeof text);
  CHECK_EQ(list_length(text), get_nprocs());
  gt_read_file("/sys/devices/system/cpu/possible", text, sizeof text);
  CHECK(list_length(text) >= get_nprocs());
  if (access("/sys/devices/system/node/online", R_OK) != 0)
    return gt_ok(); /* kernel without NUMA */
  gt_read_file("/sys/devices/system/node/online", text, sizeof text);
  const int nodes = list_length(text);
  CHECK(nodes > 0);
  for (int node = 0; node < nodes; node++) {
    snprintf(path, sizeof path, "/sys/devices/system/node/node%d/cpulist", node);
    gt_read_file(path, text, sizeof text);
    cpus_of_nodes += list_length(text);
    snprintf(path, sizeof path, "/sys/devices/system/node/node%d/distance", node);
    gt_read_file(path, text, sizeof text);
    char* at = text;
    for (int to = 0; to < nodes; to++) {
      const long distance = strtol(at, &at, 10);
      CHECK(to == node ? distance == 10 : distance > 10);
    }
    snprintf(path, sizeof path, "/sys/devices/system/node/node%d/meminfo", node);
    gt_read_file(path, text, sizeof text);
    CHECK(strstr(text, "MemTotal:"));
  }
  CHECK_EQ(cpus_of_nodes, get_nprocs());
  return gt_ok();
}
