// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include "tests/catch.h"

using pando::HostError;

TEST_CASE("error: check_errno: good results pass through, -1 becomes errno's text") {
  CHECK(pando::check_errno(7, "seven") == 7);
  CHECK(pando::check_errno(-2, "only -1 is a failure") == -2);
  errno = ENOENT;
  try {
    pando::check_errno(-1, "open /nowhere");
    FAIL("no exception");
  } catch (const HostError& e) {
    CHECK(e.error_number() == ENOENT);
    CHECK(std::string(e.what()) == "open /nowhere: No such file or directory");
  }
}

TEST_CASE("error: check_negative: -errno is a failure, an address above the errno range is not") {
  CHECK(pando::check_negative(0, "zero") == 0);
  CHECK(pando::check_negative(-4096, "not an errno") == -4096);
  CHECK_THROWS_AS(pando::check_negative(-EINVAL, "raw call"), HostError);
}

TEST_CASE("error: check_pthread: the returned number is the error") {
  CHECK_NOTHROW(pando::check_pthread(0, "fine"));
  CHECK_THROWS_AS(pando::check_pthread(EAGAIN, "pthread_create"), HostError);
}
