// SPDX-License-Identifier: Apache-2.0
#include "tools/cpio/archive.h"

#include <sys/stat.h>

#include "base/error.h"
#include "tests/catch.h"

using namespace pando::cpio;

TEST_CASE("cpio: archive: headers, names and contents lie where the kernel looks for them") {
  std::string out;
  Archive archive([&out](std::string_view bytes) { out += bytes; });
  archive.add_file("ab", "hello");
  archive.finish();
  CHECK(out.substr(0, 6) == "070701");
  CHECK(out.substr(14, 8) == "000081A4");  // mode: regular, 0644
  CHECK(out.substr(54, 8) == "00000005");  // content size
  CHECK(out.substr(94, 8) == "00000003");  // name size with its NUL
  CHECK(out.substr(110, 3) == std::string("ab\0", 3));
  CHECK(out.substr(116, 5) == "hello");   // 110 + 3, padded to 4
  CHECK(out.substr(124, 6) == "070701");  // 116 + 5, padded to 4
  CHECK(out.substr(124 + 110, 10) == "TRAILER!!!");
  CHECK(out.size() % 512 == 0);
}

TEST_CASE("cpio: archive: content in pieces equals content at once") {
  std::string whole, pieces;
  Archive a([&whole](std::string_view bytes) { whole += bytes; });
  Archive b([&pieces](std::string_view bytes) { pieces += bytes; });
  const Entry entry{.name = "x", .mode = S_IFREG | 0600};
  a.add(entry, "0123456789");
  b.begin(entry, 10);
  b.append("0123");
  b.append("456789");
  a.finish();
  b.finish();
  CHECK(whole == pieces);
}

TEST_CASE("cpio: archive: what the format cannot hold is refused") {
  Archive archive([](std::string_view) {});
  CHECK_THROWS_AS(archive.add_file("", "x"), pando::UserError);
  CHECK_THROWS_AS(archive.add_file(std::string(4096, 'n'), "x"), pando::UserError);
  CHECK_THROWS_AS(archive.add_file(std::string("a\0b", 3), "x"), pando::UserError);
  CHECK_THROWS_AS(archive.begin({.name = "big", .mode = S_IFREG}, uint64_t{1} << 32),
                  pando::UserError);
}
