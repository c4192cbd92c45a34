// SPDX-License-Identifier: Apache-2.0
/* Without a handler: null dereference and stack overflow end the process by SIGSEGV, abort by
 * SIGABRT, ud2 by SIGILL. */
#include <sys/resource.h>

#include "guest_test.h"

__attribute__((noinline)) static int recurse(int depth) {
  volatile char block[4096];
  block[0] = (char)depth;
  return recurse(depth + 1) + block[0];
}

static void null_dereference(void) {
  *(volatile int*)0 = 1;
}
static void null_call(void) {
  ((void (*volatile)(void))0)();
}
static void overflow(void) {
  recurse(0);
}
static void undefined(void) {
  __asm__ volatile("ud2");
}

static void* overflow_thread(void* unused) {
  return (void*)(long)recurse(0);
}
static void overflow_in_thread(void) {
  pthread_t thread;
  pthread_create(&thread, NULL, overflow_thread, NULL);
  for (;;) pause();
}
/* The handler cannot run because its frame does not fit on the stack. */
static void overflow_with_handler(void) {
  signal(SIGSEGV, (void (*)(int))null_call);
  recurse(0);
}

static void expect(void (*body)(void), int signal_number) {
  const struct rlimit none = {0, 0};
  const pid_t child = gt_fork();
  if (child == 0) {
    setrlimit(RLIMIT_CORE, &none);
    body();
    _exit(0);
  }
  gt_wait_signal(child, signal_number);
}

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  for (int round = 0; round < 3; round++) {
    expect(null_dereference, SIGSEGV);
    expect(null_call, SIGSEGV);
    expect(overflow, SIGSEGV);
    expect(overflow_in_thread, SIGSEGV);
    expect(overflow_with_handler, SIGSEGV);
    expect(undefined, SIGILL);
    expect(abort, SIGABRT);
  }
  return gt_ok();
}
