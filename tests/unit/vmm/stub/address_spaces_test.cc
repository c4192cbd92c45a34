// SPDX-License-Identifier: Apache-2.0
#include "vmm/stub/address_spaces.h"

#include <sys/syscall.h>

#include <csignal>
#include <thread>

#include "tests/unit/vmm/stub/guest.h"
#include "tests/catch.h"

namespace pando::stub::test {
namespace {

USER_CODE(call_getppid, "movl $110, %eax\n movl $1, %edi\n movl $2, %esi\n syscall\n hlt\n");

TEST_CASE("stub: a system call of user code: its number and arguments reach the guest kernel") {
  Guest g;
  TestCpu cpu;
  g.code(call_getppid_start, call_getppid_end);
  
  CHECK(g.run(cpu) == PANDO_EXIT_FAULT);
  CHECK(g.user.address == kCode);
  CHECK((g.user.error & 16) != 0);
  CHECK(g.map(cpu, kMm, kCode, 0x100000, kPageSize, 5) == 0);
  REQUIRE(g.run(cpu) == PANDO_EXIT_SYSCALL);
  CHECK(g.regs.ax == 110);
  CHECK(g.regs.di == 1);
  CHECK(g.regs.si == 2);
  CHECK(g.regs.ip == kCode + 17);
  REQUIRE(g.run(cpu) == PANDO_EXIT_TRAP);
  CHECK(g.user.signal == SIGSEGV);
  CHECK(g.user.trap == 13);
}

}  // namespace
}  // namespace pando::stub::test
