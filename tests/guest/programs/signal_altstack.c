// SPDX-License-Identifier: Apache-2.0
/* sigaltstack: handlers run there, SS_ONSTACK shows it, SS_AUTODISARM switches it off, and it
 * survives a stack overflow. */
#include <setjmp.h>

#include "guest_test.h"

static char* stack;
enum { kStack = 65536 };
static sigjmp_buf back;
static volatile int calls;

static bool on_stack(const void* at) {
  return (char*)at >= stack && (char*)at < stack + kStack;
}

static void handler(int signal_number, siginfo_t* info, void* context) {
  int local;
  stack_t now;
  CHECK(on_stack(&local));
  CHECK(sigaltstack(NULL, &now) == 0);
  const bool autodisarm = signal_number == SIGUSR2;
  CHECK_EQ(now.ss_flags & (SS_ONSTACK | SS_DISABLE), autodisarm ? SS_DISABLE : SS_ONSTACK);
  calls++;
}

static void overflow_handler(int signal_number, siginfo_t* info, void* context) {
  int local;
  CHECK(on_stack(&local));
  siglongjmp(back, 1);
}

__attribute__((noinline)) static int recurse(int depth) {
  volatile char block[4096];
  block[0] = (char)depth;
  return recurse(depth + 1) + block[0];
}

int main(int argc, char** argv) {
  stack_t alternate = {.ss_size = kStack};
  gt_begin(argc, argv);
  alternate.ss_sp = stack = gt_map(kStack);
  CHECK(sigaltstack(&alternate, NULL) == 0);
  gt_on_signal(SIGUSR1, handler, SA_ONSTACK);
  gt_on_signal(SIGUSR2, handler, SA_ONSTACK);
  raise(SIGUSR1);
  alternate.ss_flags = (int)(1u << 31); /* SS_AUTODISARM */
  CHECK(sigaltstack(&alternate, NULL) == 0);
  raise(SIGUSR2);
  CHECK_EQ(calls, 2);
  alternate.ss_flags = 0;
  CHECK(sigaltstack(&alternate, NULL) == 0);
  gt_on_signal(SIGSEGV, overflow_handler, SA_ONSTACK | SA_NODEFER);
  for (volatile int round = 0; round < 3; round++)
    if (sigsetjmp(back, 1) == 0) recurse(0), gt_fail(__FILE__, __LINE__, "endless stack");
  return gt_ok();
}
