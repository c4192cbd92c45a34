// SPDX-License-Identifier: Apache-2.0
#include "tools/gdb/registers.h"

#include <algorithm>

#include "tools/gdb/packet.h"
#include "tests/catch.h"

namespace pando::gdb {

namespace {

constexpr size_t kFtag = 34, kXmm0 = 40, kMxcsr = 56, kFsBase = 57, kYmm0High = 59;
constexpr size_t kXsaveBytes = 832;

Registers user_registers() {
  Registers r;
  r.general[kRip] = 0x60100123;
  r.fs_base = 0x7fff12345678;
  r.xsave.resize(kXsaveBytes);
  r.xsave[4] = 0x81;  // st0 and st7 in use
  r.xsave[24] = 0x80;
  r.xsave[25] = 0x1f;
  r.xsave[160] = 0xaa;
  r.xsave[576] = 0xbb;
  return r;
}

}  // namespace

TEST_CASE("gdb registers: numbering: is the one of the description") {
  const Registers r = user_registers();
  CHECK(register_count() == 75);
  CHECK(register_hex(r, kRip) == "2301106000000000");
  CHECK(register_hex(r, kFsBase) == "78563412ff7f0000");
  CHECK(register_hex(r, kMxcsr) == "801f0000");
  CHECK(register_hex(r, kXmm0)->substr(0, 2) == "aa");
  CHECK(register_hex(r, kYmm0High)->substr(0, 2) == "bb");
  CHECK_FALSE(register_hex(r, register_count()));
  const std::string& xml = target_description();
  CHECK_THAT(xml, Catch::Matchers::ContainsSubstring("name=\"rip\" bitsize=\"64\" type=\"code_ptr\" regnum=\"16\""));
  CHECK_THAT(xml, Catch::Matchers::ContainsSubstring("name=\"ymm0h\" bitsize=\"128\" type=\"uint128\" regnum=\"59\""));
}

TEST_CASE("gdb registers: tag word: is expanded to two bits and back") {
  Registers r = user_registers();
  CHECK(register_hex(r, kFtag) == "fc3f0000");
  REQUIRE(set_register(r, kFtag, std::string("\xff\xff\0\0", 4)));
  CHECK(r.xsave[4] == 0);
}

TEST_CASE("gdb registers: floating point of kernel code: is unknown, not zero") {
  Registers r;
  CHECK(register_hex(r, kXmm0) == std::string(32, 'x'));
  CHECK_FALSE(set_register(r, kXmm0, std::string(16, 'a')));
}

TEST_CASE("gdb registers: whole file: written back gives the same file") {
  const Registers r = user_registers();
  const std::string all = all_registers_hex(r);
  Registers other;
  other.xsave.resize(kXsaveBytes);
  REQUIRE(set_all_registers(other, *from_hex(all)));
  CHECK(all_registers_hex(other) == all);
}

TEST_CASE("gdb registers: file that ends inside a register or is too long: changes nothing") {
  Registers r = user_registers();
  const std::string before = all_registers_hex(r);
  const std::string bytes(8 * 17 + 3, 'x');
  CHECK_FALSE(set_all_registers(r, bytes));
  CHECK_FALSE(set_all_registers(r, *from_hex(before) + "y"));
  CHECK(all_registers_hex(r) == before);
  CHECK(set_all_registers(r, std::string(8, '\1')));
  CHECK(r.general[0] == 0x0101010101010101);
}

TEST_CASE("gdb registers: wrong size of one: is refused") {
  Registers r;
  CHECK_FALSE(set_register(r, 0, "abc"));
  CHECK_FALSE(set_register(r, 10000, "abcdefgh"));
}

}  // namespace pando::gdb
