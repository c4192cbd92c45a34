// SPDX-License-Identifier: Apache-2.0
#include "tools/observe/naming.h"

#include "tests/catch.h"
#include "tests/unit/tools/observe/recordings.h"

using namespace pando;
using namespace pando::observe;
using namespace pando::observe::test;

// This program in the place of a kernel image.
asm(R"(
  .pushsection .data
  .globl __init_begin, __init_end, naming_boot_only, naming_kept
  .type naming_boot_only, @object
  .type naming_kept, @object
__init_begin:
naming_boot_only: .skip 64
  .size naming_boot_only, 64
__init_end:
naming_kept: .skip 64
  .size naming_kept, 64
  .popsection
)");

TEST_CASE("naming: instructions that read and write memory in one step are told by their first bytes") {
  const auto atomic = [](std::initializer_list<uint8_t> bytes) {
    return is_atomic_instruction(std::string(bytes.begin(), bytes.end()));
  };
  CHECK(atomic({0xf0, 0x0f, 0xb1, 0x17}));        // lock cmpxchg %edx,(%rdi)
  CHECK(atomic({0x66, 0xf0, 0x0f, 0xc1, 0x07}));  // lock xadd %ax,(%rdi)
  CHECK(atomic({0x87, 0x07}));                    // xchg %eax,(%rdi)
  CHECK(atomic({0x48, 0x87, 0x07}));              // xchg %rax,(%rdi)
  CHECK(atomic({0x86, 0x05, 0, 0, 0, 0}));        // xchg %al,0(%rip)
  CHECK_FALSE(atomic({0x87, 0xc3}));              // xchg %eax,%ebx
  CHECK_FALSE(atomic({0x48, 0x83, 0x07, 0x01}));  // addq $1,(%rdi)
  CHECK_FALSE(atomic({0xf3, 0x90}));              // pause
  CHECK_FALSE(atomic({0x66}));
  CHECK_FALSE(atomic({}));
}

TEST_CASE("naming: user addresses by process, kernel addresses by area, without a kernel image") {
  const v1::Recording r = two_nodes();
  const Naming n(r, nullptr);
  CHECK(n.of_address(0x4c5000, kMm) == "victim[42] 0x4c5000");
  CHECK(n.of_address(0x4c5000, 99) == "address space 99 0x4c5000");
  CHECK(n.of_address(0x60012010, 0) == "kernel page 0x12+0x10");
  CHECK(n.of_address(0x10000000010, 0) == "vmalloc 0x10000000010");
  CHECK(n.of_code({0x401000, kMm}) == "victim:0x401000");
  CHECK(n.of_node(1) == "b");
  CHECK(n.of_node(9) == "9");
}

TEST_CASE("naming: what the boot has given back has no name: other things lie there now") {
  const v1::Recording r = two_nodes();
  const KernelImage image = KernelImage::read("/proc/self/exe");
  const Naming n(r, &image);
  CHECK(n.is_named(image.address_of("naming_kept").value() + 8, 0));
  CHECK_FALSE(n.is_named(image.address_of("naming_boot_only").value() + 8, 0));
}

TEST_CASE("naming: user instructions are locks only if their bytes were seen and say so") {
  v1::Recording r = two_nodes();
  code(r, 0x1000, std::string("\xf0\x0f\xb1\x17", 4));
  code(r, 0x2000, std::string("\x89\x07", 2));
  const Naming n(r, nullptr);
  CHECK(n.is_lock({0x1000, kMm}));
  CHECK_FALSE(n.is_lock({0x2000, kMm}));
  CHECK_FALSE(n.is_lock({0x3000, kMm}));
  CHECK_FALSE(n.is_lock({0x1000, 0}));
}
