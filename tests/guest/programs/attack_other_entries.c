// SPDX-License-Identifier: Apache-2.0
/* Other ways into a kernel: int 0x80, sysenter, x32 numbers, vsyscall, 32-bit code. None reaches a
 * foreign one. */
#include "hostile.h"

/* A process id from a 32-bit getpid is ours, or an error. */
static void int80(uint64_t number) {
  long result = (long)number;
  __asm__ volatile("int $0x80" : "+a"(result)::"memory", "rcx", "r11", "r8", "r9", "r10");
  if (number == 20 && result > 0 && result != getpid()) _exit(99);
}

static void sysenter(uint64_t number) {
  __asm__ volatile("movq %%rsp, %%rbp\n\tsysenter" ::"a"(number) : "memory", "rcx", "rdx");
}

static void x32(uint64_t number) {
  const long result = syscall((long)(number | 0x40000000));
  if (number == SYS_getpid && result > 0 && result != getpid()) _exit(99);
}

static void vsyscall(uint64_t offset) {
  struct timespec now;
  ((long (*)(void*, void*))(0xffffffffff600000 + offset))(&now, NULL);
}

/* A far jump to the 32-bit code segment; the code there makes system calls in every way it knows.
 */
static void compat(uint64_t selector) {
  static const unsigned char code[] = {0xb8, 20,   0,    0,    0,    0xcd, 0x80,
                                       0x0f, 0x34, 0x0f, 0x05, 0x0f, 0x0b};
  char* const at = mmap(NULL, GT_PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
  if (at == MAP_FAILED) _exit(1);
  memcpy(at, code, sizeof code);
  const struct __attribute__((packed)) {
    uint32_t offset;
    uint16_t selector;
  } target = {(uint32_t)(uintptr_t)at, (uint16_t)selector};
  __asm__ volatile("ljmpl *%0" ::"m"(target) : "memory");
}

int main(int argc, char** argv) {
  static const int calls32[] = {1, 2, 4, 5, 11, 20, 37, 90, 192, 0x7fffffff};
  gt_begin(argc, argv);
  for (int i = 0; i < 10; i++) {
    const int status = gt_attack(int80, (uint64_t)calls32[i]);
    CHECK(!WIFEXITED(status) || WEXITSTATUS(status) != 99);
    gt_attack(sysenter, (uint64_t)calls32[i]);
  }
  for (uint64_t number = 0; number < 600; number += number < 60 ? 1 : 37) {
    if (number == SYS_kill || number == SYS_pause) continue;
    const int status = gt_attack(x32, number);
    CHECK(!WIFEXITED(status) || WEXITSTATUS(status) != 99);
  }
  for (uint64_t offset = 0; offset < 0x1000; offset += 0x100) {
    const int status = gt_attack(vsyscall, offset);
    if (offset % 0x400 != 0) CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
  }
  for (uint64_t selector = 0; selector < 0x60; selector += 3) gt_attack(compat, selector);
  gt_attack(compat, 0x23);
  return gt_ok();
}
