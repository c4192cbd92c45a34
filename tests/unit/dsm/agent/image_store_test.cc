// SPDX-License-Identifier: Apache-2.0
#include "dsm/agent/image_store.h"

#include <unistd.h>

#include <cstdlib>

#include "tests/catch.h"

using namespace pando::dsm;

namespace {
constexpr const char* kAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
}

TEST_CASE("image store: an image that arrived whole: can be opened and read") {
  ImageUpload upload(kAbc, 3);
  REQUIRE(upload.add("ab").empty());
  REQUIRE(upload.add("c").empty());
  REQUIRE(upload.finish().empty());
  ImageStore store;
  REQUIRE(store.put(kAbc, upload.take_fd()));
  CHECK(store.has(kAbc));
  const pando::UniqueFd fd = store.open(kAbc);
  char text[4] = {};
  CHECK(read(fd.get(), text, sizeof text) == 3);
  CHECK(std::string(text) == "abc");
  CHECK_FALSE(store.open(std::string(64, '0')).valid());
}

TEST_CASE("image store: an image that is too long, too short or another: refused") {
  ImageUpload too_long(kAbc, 2);
  CHECK_FALSE(too_long.add("abc").empty());
  ImageUpload too_short(kAbc, 3);
  CHECK(too_short.add("ab").empty());
  CHECK_FALSE(too_short.finish().empty());
  ImageUpload other(kAbc, 3);
  CHECK(other.add("xyz").empty());
  CHECK_FALSE(other.finish().empty());
}

TEST_CASE("image store: a file of this host with that content is taken; another one, none and a folder are not") {
  char path[] = "/tmp/pando-image-store.XXXXXX";
  const pando::UniqueFd file(mkstemp(path));
  REQUIRE(file.valid());
  ImageStore store;
  CHECK_FALSE(store.take_file(kAbc, path));
  REQUIRE(write(file.get(), "abc", 3) == 3);
  CHECK(store.take_file(kAbc, path));
  CHECK(store.has(kAbc));
  CHECK_FALSE(store.take_file(std::string(64, '0'), path));
  unlink(path);
  CHECK_FALSE(store.take_file(kAbc, path));
  CHECK_FALSE(store.take_file(kAbc, "/tmp"));
}
