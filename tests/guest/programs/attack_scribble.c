// SPDX-License-Identifier: Apache-2.0
/* Random data over everything writable above the user addresses, then system calls and faults: only
 * this process suffers. */
#include "hostile.h"

static void scribble(uint64_t seed) {
  volatile char* const own = gt_map(4 * GT_PAGE);
  uint64_t state = seed;
  for (int round = 0; round < 20; round++) {
    for (int i = 0; i < 200; i++) {
      const uintptr_t at = kStubReport + next_random(&state) % (kStubEnd - kStubReport) / 8 * 8;
      uint64_t value = next_random(&state) << 20;
      if (i % 4 == 0) value = kStubCode + value % 0xc000;
      if (i % 4 == 1) value %= 64;
      __asm__ volatile("movq %1, (%0)" ::"r"(at), "r"(value) : "memory");
    }
    syscall(SYS_getppid);
    own[(next_random(&state) % 4) * GT_PAGE]++;
    sched_yield();
  }
}

static void write_protected(uint64_t address) {
  *(volatile uint64_t*)address = 0;
}

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  for (uint64_t seed = 1; seed <= 40; seed++) gt_attack(scribble, seed);
  for (uintptr_t at = kStubCode; at < kStubReport; at += GT_PAGE) {
    const int status = gt_attack(write_protected, at);
    CHECK(WIFSIGNALED(status));
  }
  return gt_ok();
}
