// SPDX-License-Identifier: Apache-2.0
#include "tools/tls/digest.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "tests/catch.h"

using namespace pando::tls;

// Values from FIPS 180-4's examples.
TEST_CASE("tls: digest: the standard's examples") {
  CHECK(sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST_CASE("tls: digest: a file's equals that of its bytes") {
  const pando::UniqueFd fd(::memfd_create("digest", MFD_CLOEXEC));
  REQUIRE(fd.valid());
  const std::string content(600'001, 'a');
  REQUIRE(::write(fd.get(), content.data(), content.size()) ==
          static_cast<ssize_t>(content.size()));
  CHECK(sha256_of_file(fd.get(), "memfd") == sha256(content));
  CHECK_THROWS_AS(sha256_of_file(-1, "nothing"), pando::HostError);
}
