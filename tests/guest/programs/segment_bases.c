// SPDX-License-Identifier: Apache-2.0
/* fs and gs bases: arch_prctl, kept over switches and signals per thread; wrgsbase when AT_HWCAP2
 * offers it. */
#include <asm/prctl.h>
#include <sys/auxv.h>

#include "guest_test.h"

static uint64_t load_gs(void) {
  uint64_t value;
  __asm__ volatile("movq %%gs:8, %0" : "=r"(value));
  return value;
}

static void handler(int signal_number, siginfo_t* info, void* context) {
  CHECK_EQ(load_gs(), *(uint64_t*)info->si_value.sival_ptr);
}

static void body(int index) {
  uint64_t block[2] = {0, 0xabc000u + (uint64_t)index}, base = 0;
  CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, block) == 0);
  CHECK(syscall(SYS_arch_prctl, ARCH_GET_GS, &base) == 0);
  CHECK_EQ(base, (uintptr_t)block);
  for (int i = 0; i < 300; i++) {
    CHECK_EQ(load_gs(), block[1]);
    if (i % 10 == 0) {
      const union sigval value = {.sival_ptr = &block[1]};
      CHECK(pthread_sigqueue(pthread_self(), SIGUSR1, value) == 0);
    }
    sched_yield();
  }
  if (getauxval(AT_HWCAP2) & 2) {
    uint64_t other[2] = {0, 0xdef}, seen;
    __asm__ volatile("wrgsbase %0" ::"r"(other));
    sched_yield();
    CHECK_EQ(load_gs(), 0xdef);
    __asm__ volatile("rdgsbase %0" : "=r"(seen));
    CHECK_EQ(seen, (uintptr_t)other);
  }
  CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, 0) == 0);
}

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  gt_on_signal(SIGUSR1, handler, 0);
  gt_threads(2 * gt_cpus(), body);
  CHECK(syscall(SYS_arch_prctl, ARCH_SET_FS, 0xffff800000000000) == -1 && errno == EPERM);
  return gt_ok();
}
