// SPDX-License-Identifier: Apache-2.0
/* SIGSEGV and SIGBUS tell address and cause: null, unmapped, read-only, no-execute, non-canonical,
 * past end of file. */
#include <setjmp.h>
#include <ucontext.h>

#include "guest_test.h"

static sigjmp_buf back;
static siginfo_t seen;
static long long error_code, trap;

static void handler(int signal_number, siginfo_t* info, void* context) {
  const ucontext_t* const uc = context;
  seen = *info;
  error_code = uc->uc_mcontext.gregs[REG_ERR];
  trap = uc->uc_mcontext.gregs[REG_TRAPNO];
  siglongjmp(back, 1);
}

static void expect(int signal_number, int code, const void* address) {
  CHECK_EQ(seen.si_signo, signal_number);
  CHECK_EQ(seen.si_code, code);
  CHECK_EQ((uintptr_t)seen.si_addr, (uintptr_t)address);
}
#define FAULT(access)                                         \
  if (sigsetjmp(back, 1) == 0) {                              \
    access;                                                   \
    gt_fail(__FILE__, __LINE__, "%s did not fault", #access); \
  }

int main(int argc, char** argv) {
  char* volatile at = NULL;
  gt_begin(argc, argv);
  gt_on_signal(SIGSEGV, handler, 0);
  gt_on_signal(SIGBUS, handler, 0);
  FAULT(*at = 1);
  expect(SIGSEGV, SEGV_MAPERR, NULL);
  CHECK(error_code == 6 && trap == 14);
  at = (char*)0x12345;
  FAULT((void)*(volatile char*)at);
  expect(SIGSEGV, SEGV_MAPERR, at);
  CHECK_EQ(error_code, 4);
  at = (char*)gt_map(GT_PAGE) + 5;
  *at = (char)0xc3;
  FAULT(((void (*)(void))at)());
  expect(SIGSEGV, SEGV_ACCERR, at);
  CHECK(mprotect(at - 5, GT_PAGE, PROT_READ) == 0);
  FAULT(*at = 1);
  expect(SIGSEGV, SEGV_ACCERR, at);
  CHECK(mprotect(at - 5, GT_PAGE, PROT_NONE) == 0);
  FAULT((void)*(volatile char*)at);
  expect(SIGSEGV, SEGV_ACCERR, at);
  at = (char*)0x8000000000000000;
  FAULT(*at = 1);
  expect(SIGSEGV, SI_KERNEL, NULL);
  CHECK_EQ(trap, 13);
  const int fd = memfd_create("short", 0);
  CHECK(fd >= 0 && ftruncate(fd, 100) == 0);
  at = mmap(NULL, 2 * GT_PAGE, PROT_READ, MAP_SHARED, fd, 0);
  CHECK(at != MAP_FAILED && at[50] == 0);
  FAULT((void)*(volatile char*)(at + GT_PAGE + 9));
  expect(SIGBUS, BUS_ADRERR, at + GT_PAGE + 9);
  return gt_ok();
}
