// SPDX-License-Identifier: Apache-2.0
/* System calls, reads and jumps at addresses that are not the user's: errors or SIGSEGV, never
 * more. */
#include <sys/uio.h>

#include "hostile.h"

static const uint64_t places[] = {
    0x700000000000,     0x6ffffffff000,     0x710000000000, 0x710000001000, 0x710000003000,
    0x710000004ff8,     0x7fffffffe000,     0x7ffffffff000, 0x800000000000, 0xffff800000000000,
    0xffffffffff600000, 0xfffffffffffff000, ~0ull,          0x10000000000,  0x60000000,
    0x60001000,         0x60100000,         0x12345678000};
enum { kPlaces = sizeof places / sizeof places[0] };

static void call(uint64_t address) {
  int ends[2];
  if (pipe(ends)) _exit(1);
  write(ends[1], (void*)address, 8);
  write(ends[1], "abcdefgh", 8);
  read(ends[0], (void*)address, 8);
  syscall(SYS_mmap, address & ~0xfffull, GT_PAGE, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
          0);
  syscall(SYS_mprotect, address & ~0xfffull, GT_PAGE, 7);
  syscall(SYS_mremap, address & ~0xfffull, GT_PAGE, 2 * GT_PAGE, MREMAP_MAYMOVE);
  syscall(SYS_madvise, address & ~0xfffull, GT_PAGE, MADV_DONTNEED);
  syscall(SYS_munmap, address & ~0xfffull, GT_PAGE);
  syscall(SYS_munmap, address & ~0xfffull, 1ull << 46);
  syscall(SYS_rt_sigprocmask, 0, address, address, 8);
  syscall(SYS_clock_gettime, 1, address);
  syscall(SYS_futex, address & ~3ull, 0, 0, address, address, 0);
  syscall(SYS_execve, address, address, address);
  syscall(SYS_sigaltstack, address, address);
  syscall(SYS_set_robust_list, address, 24);
}

static void load(uint64_t address) {
  (void)*(volatile char*)address;
}
static void store(uint64_t address) {
  *(volatile char*)address = 1;
}
static void jump(uint64_t address) {
  ((void (*)(void))address)();
}
static void bad_stack(uint64_t address) {
  signal(SIGUSR1, (void (*)(int))(uintptr_t)address);
  __asm__ volatile(
      "movq %0, %%rsp\n\tmovl $39, %%eax\n\tsyscall\n\tmovl %%eax, %%edi\n\tmovl $10, %%esi\n\t"
      "movl $62, %%eax\n\tsyscall\n\tpush %%rax\n\tud2" ::"r"(address)
      : "memory");
}
static void bad_bases(uint64_t address) {
  syscall(SYS_arch_prctl, 0x1001, address);
  syscall(SYS_arch_prctl, 0x1002, address);
  syscall(SYS_getppid);
}

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  for (int i = 0; i < kPlaces; i++) {
    gt_attack(call, places[i]);
    gt_attack(load, places[i]);
    gt_attack(store, places[i]);
    gt_attack(jump, places[i]);
    gt_attack(bad_stack, places[i]);
    gt_attack(bad_bases, places[i]);
  }
  return gt_ok();
}
