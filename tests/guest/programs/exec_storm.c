// SPDX-License-Identifier: Apache-2.0
/* Every CPU executes this static program again and again; arguments and exit codes are intact. */
#include "guest_test.h"

static void storm(int index) {
  for (int round = 0; round < 20; round++) {
    const pid_t child = gt_fork();
    if (child == 0) {
      char code[16];
      snprintf(code, sizeof code, "%d", (round * 3 + index) & 127);
      execl("/proc/self/exe", "exec_storm", "--exit", code, (char*)NULL);
      _exit(126);
    }
    gt_wait_exit(child, (round * 3 + index) & 127);
  }
}

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  if (gt_argc == 2 && strcmp(gt_argv[0], "--exit") == 0) return atoi(gt_argv[1]);
  gt_processes(gt_cpus(), storm);
  return gt_ok();
}
