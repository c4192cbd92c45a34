// SPDX-License-Identifier: Apache-2.0
/* System calls and faults with strange CPU state: flags, segment selectors, unmasked and pending
 * FPU exceptions. */
#include "hostile.h"

static long raw_getpid(void) {
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "a"(SYS_getpid) : "rcx", "r11", "memory");
  return result;
}

static void flags(uint64_t bits) {
  volatile char* const own = gt_map(GT_PAGE);
  const long pid = getpid();
  for (int i = 0; i < 20; i++) {
    __asm__ volatile("pushfq\n\torq %0, (%%rsp)\n\tpopfq" ::"r"(bits) : "memory", "cc");
    const long result = raw_getpid();
    own[0]++;
    __asm__ volatile("pushfq\n\tandq %0, (%%rsp)\n\tpopfq\n\tcld" ::"r"(~bits) : "memory", "cc");
    if (result != pid) _exit(99);
    madvise((void*)own, GT_PAGE, MADV_DONTNEED);
  }
}

static void selectors(uint64_t value) {
  const long pid = getpid();
  __asm__ volatile("movw %w0, %%ds\n\tmovw %w0, %%es" ::"r"(value) : "memory");
  if (raw_getpid() != pid) _exit(99);
  __asm__ volatile("movw %w0, %%gs" ::"r"(value) : "memory");
  if (raw_getpid() != pid) _exit(99);
  __asm__ volatile("movw %w0, %%fs" ::"r"(value) : "memory");
  raw_getpid();
  __asm__ volatile("movw %w0, %%ss" ::"r"(value) : "memory");
  raw_getpid();
  __asm__ volatile("syscall" ::"a"(SYS_exit_group), "D"(0) : "memory");
}

static void fpu(uint64_t control) {
  const uint32_t mxcsr = (uint32_t)control & 0xffff;
  const uint16_t x87 = (uint16_t)(control >> 16);
  volatile char* const own = gt_map(GT_PAGE);
  const long pid = getpid();
  __asm__ volatile("fninit\n\tfldcw %0\n\tldmxcsr %1\n\tfldz\n\tfld1\n\tfdivp" ::"m"(x87),
                   "m"(mxcsr));
  for (int i = 0; i < 5; i++) {
    if (raw_getpid() != pid) _exit(99);
    own[0]++;
    madvise((void*)own, GT_PAGE, MADV_DONTNEED);
  }
  __asm__ volatile("fwait");
}

static void expect_not_wrong(int status) {
  CHECK(!WIFEXITED(status) || WEXITSTATUS(status) != 99);
}

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  for (int bit = 0; bit < 22; bit++) expect_not_wrong(gt_attack(flags, 1ull << bit));
  expect_not_wrong(gt_attack(flags, 0x247fd5));
  static const uint64_t values[] = {0,    3,    0x2b, 0x23, 0x33, 0x10,
                                    0x18, 0x53, 0x63, 0x6b, 0x7b, 0xffff};
  for (int i = 0; i < 12; i++) expect_not_wrong(gt_attack(selectors, values[i]));
  static const uint64_t controls[] = {0x37f1f80,  0x3001f80, 0x3000000, 0xf7f7fbf,
                                      0xffffffff, 0x37f0000, 0x200ffbf};
  for (int i = 0; i < 7; i++) expect_not_wrong(gt_attack(fpu, controls[i]));
  return gt_ok();
}
