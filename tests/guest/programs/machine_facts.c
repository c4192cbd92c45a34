// SPDX-License-Identifier: Apache-2.0
/* The auxiliary vector, cpuid against /proc/cpuinfo, rdtsc order, random numbers, sysinfo. */
#include <cpuid.h>
#include <elf.h>
#include <sys/auxv.h>
#include <sys/random.h>
#include <sys/sysinfo.h>

#include "guest_test.h"

static uint64_t tsc(void) {
  uint32_t low, high;
  __asm__ volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high)::"memory");
  return (uint64_t)high << 32 | low;
}

/* From the kernel: the C library changes some of what getauxval() returns. */
static uint64_t kernel_auxv(uint64_t kind) {
  static char text[1024];
  const size_t bytes = gt_read_file("/proc/self/auxv", text, sizeof text);
  for (size_t at = 0; at + 16 <= bytes; at += 16) {
    uint64_t pair[2];
    memcpy(pair, text + at, sizeof pair);
    if (pair[0] == kind) return pair[1];
  }
  gt_fail(__FILE__, __LINE__, "no entry %d in auxv", (int)kind);
}

int main(int argc, char** argv) {
  uint32_t a, b, c, d;
  uint64_t first[4], second[4];
  struct sysinfo info;
  gt_begin(argc, argv);
  CHECK_EQ(getauxval(AT_PAGESZ), GT_PAGE);
  CHECK_EQ(getauxval(AT_CLKTCK), sysconf(_SC_CLK_TCK));
  CHECK_EQ(getauxval(AT_UID), getuid());
  CHECK_EQ(getauxval(AT_SECURE), 0);
  CHECK(getauxval(AT_RANDOM) != 0 && getauxval(AT_PHDR) != 0 && getauxval(AT_ENTRY) != 0);
  CHECK(strcmp((const char*)getauxval(AT_PLATFORM), "x86_64") == 0);
  CHECK(__get_cpuid(1, &a, &b, &c, &d) && (d & bit_SSE2));
  const uint64_t hwcap = kernel_auxv(AT_HWCAP); /* cpuid without what the kernel switched off */
  CHECK((hwcap & ~(uint64_t)d) == 0 && (hwcap & bit_SSE2));
  CHECK(getrandom(first, sizeof first, 0) == sizeof first);
  CHECK(getrandom(second, sizeof second, 0) == sizeof second);
  CHECK(memcmp(first, second, sizeof first) != 0);
  for (uint64_t last = tsc(), i = 0; i < 10000; i++) {
    const uint64_t now = tsc();
    CHECK(now >= last);
    last = now;
  }
  CHECK(sysinfo(&info) == 0 && info.procs > 0 && info.totalram >= info.freeram);
  const uint64_t* const vdso = (const uint64_t*)getauxval(AT_SYSINFO_EHDR);
  if (vdso) CHECK(memcmp(vdso, ELFMAG, SELFMAG) == 0);
  return gt_ok();
}
