// SPDX-License-Identifier: Apache-2.0
#include "dsm/agent/cpu_usage.h"

#include <sys/wait.h>
#include <unistd.h>

#include <ctime>

#include "tests/catch.h"

using namespace pando::dsm;

TEST_CASE("cpu usage: a child's work counts for its parent, alive and when it was waited for") {
  const uint64_t before = tree_cpu_ns(getpid());
  int done[2], go[2];
  REQUIRE(pipe(done) == 0);
  REQUIRE(pipe(go) == 0);
  const pid_t child = fork();
  if (child == 0) {
    timespec used{};
    while (used.tv_sec == 0 && used.tv_nsec < 200'000'000) clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    char byte = 0;
    _exit(write(done[1], &byte, 1) == 1 && read(go[0], &byte, 1) == 1 ? 0 : 1);
  }
  char byte = 0;
  REQUIRE(read(done[0], &byte, 1) == 1);
  CHECK(tree_cpu_ns(child) >= 150'000'000);
  CHECK(tree_cpu_ns(getpid()) - before >= 150'000'000);
  REQUIRE(write(go[1], &byte, 1) == 1);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(tree_cpu_ns(child) == 0);
  CHECK(tree_cpu_ns(getpid()) - before >= 150'000'000);
  CHECK(own_cpu_ns() > 0);
  for (const int fd : {done[0], done[1], go[0], go[1]}) close(fd);
}
