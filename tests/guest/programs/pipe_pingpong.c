// SPDX-License-Identifier: Apache-2.0
/* A token goes through a ring of processes, one per CPU, 500 times. */
#include "guest_test.h"

static int ring[GT_CPUS_MAX][2];
static int members;

static void pass(int index) {
  int token;
  for (int round = 0; round < 500; round++) {
    CHECK(read(ring[index][0], &token, sizeof token) == sizeof token);
    CHECK_EQ(token, round * members + index);
    token++;
    CHECK(write(ring[(index + 1) % members][1], &token, sizeof token) == sizeof token);
  }
}

int main(int argc, char** argv) {
  const int zero = 0;
  gt_begin(argc, argv);
  members = gt_cpus() > 1 ? gt_cpus() : 2;
  for (int i = 0; i < members; i++) CHECK(pipe(ring[i]) == 0);
  CHECK(write(ring[0][1], &zero, sizeof zero) == sizeof zero);
  gt_processes(members, pass);
  return gt_ok();
}
