// SPDX-License-Identifier: Apache-2.0
#include "base/host_identity.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "tests/catch.h"

using namespace pando;

TEST_CASE("host identity: another process of this host: has the same") {
  const std::string here = host_identity();
  REQUIRE_FALSE(here.empty());
  int pair[2];
  REQUIRE(pipe(pair) == 0);
  if (fork() == 0) {
    const std::string there = host_identity();
    (void)!write(pair[1], there.data(), there.size());
    _exit(0);
  }
  close(pair[1]);
  std::string there(256, '\0');
  there.resize(static_cast<size_t>(std::max<ssize_t>(read(pair[0], there.data(), there.size()), 0)));
  close(pair[0]);
  wait(nullptr);
  REQUIRE(there == here);
}
