// SPDX-License-Identifier: Apache-2.0
/*
 * Jumps into the stub's code page with registers prepared for host system calls: the process dies,
 * nothing else happens. Who jumps to where the stub returns to user code is back where it last
 * entered it, and may do so for ever, like any program that loops: it can be killed. Argument: distance of the tried addresses in bytes (default 41; 1 tries
 * all).
 */
#include "hostile.h"

/* mmap of the host's descriptor 0 over our memory, write to descriptors, fork, execve, open, kill,
 * ptrace. */
static const long numbers[] = {SYS_mmap,       SYS_write,
                               SYS_fork,       SYS_execve,
                               SYS_open,       SYS_kill,
                               SYS_ptrace,     SYS_mprotect,
                               SYS_munmap,     SYS_ioctl,
                               SYS_arch_prctl, SYS_rt_sigreturn,
                               SYS_futex,      SYS_process_vm_writev,
                               SYS_exit_group, SYS_seccomp};
enum { kNumbers = sizeof numbers / sizeof numbers[0] };

static void jump(uint64_t seed) {
  const long number = numbers[seed % kNumbers];
  register long r10 __asm__("r10") = MAP_SHARED | MAP_FIXED;
  register long r8 __asm__("r8") = 0;
  register long r9 __asm__("r9") = 0;
  void* const own = gt_map(GT_PAGE);
  const long first =
      number == SYS_mmap || number == SYS_mprotect || number == SYS_munmap ? (long)own : 1;
  __asm__ volatile("jmp *%0" ::"r"(kStubCode + seed / kNumbers), "a"(number), "D"(first),
                   "S"(4096l), "d"(3l), "r"(r10), "r"(r8), "r"(r9)
                   : "memory");
  __builtin_unreachable();
}

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  const uintptr_t step = gt_argc ? (uintptr_t)atoi(gt_argv[0]) : 41;
  for (uintptr_t at = 0; at < kStubCodeEnd - kStubCode; at += step ? step : 1) {
    const int status = gt_attack_may_loop(jump, at * kNumbers + at % kNumbers);
    CHECK(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
  }
  return gt_ok();
}
