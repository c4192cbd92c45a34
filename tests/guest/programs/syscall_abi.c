// SPDX-License-Identifier: Apache-2.0
/* The syscall instruction changes only rax, rcx and r11; rcx = next instruction, r11 = flags; bad
 * numbers: ENOSYS. */
#include "guest_test.h"

static uint64_t in[6] = {11, 22, 33, 44, 55, 66}, kept[9], rcx, r11, after, flags_before;

static long all_registers(long number) {
  long result;
  __asm__ volatile(
      "mov %[in0], %%rdi\n\tmov %[in1], %%rsi\n\tmov %[in2], %%rdx\n\tmov %[in3], %%r10\n\t"
      "mov %[in4], %%r8\n\tmov %[in5], %%r9\n\tmov $77, %%r12\n\tmov $88, %%r13\n\tmov $99, "
      "%%r14\n\t"
      "stc\n\tpushfq\n\tpop %%r15\n\tmov %%r15, %[before]\n\t"
      "syscall\n\t1:\n\t"
      "mov %%rdi, %[k0]\n\tmov %%rsi, %[k1]\n\tmov %%rdx, %[k2]\n\tmov %%r10, %[k3]\n\tmov %%r8, "
      "%[k4]\n\t"
      "mov %%r9, %[k5]\n\tmov %%r12, %[k6]\n\tmov %%r13, %[k7]\n\tmov %%r14, %[k8]\n\t"
      "mov %%rcx, %[rcx]\n\tmov %%r11, %[r11]\n\tlea 1b(%%rip), %%rcx\n\tmov %%rcx, %[after]"
      : "=a"(result), [k0] "=m"(kept[0]), [k1] "=m"(kept[1]), [k2] "=m"(kept[2]),
        [k3] "=m"(kept[3]), [k4] "=m"(kept[4]), [k5] "=m"(kept[5]), [k6] "=m"(kept[6]),
        [k7] "=m"(kept[7]), [k8] "=m"(kept[8]), [rcx] "=m"(rcx), [r11] "=m"(r11),
        [after] "=m"(after), [before] "=m"(flags_before)
      : "a"(number), [in0] "m"(in[0]), [in1] "m"(in[1]), [in2] "m"(in[2]), [in3] "m"(in[3]),
        [in4] "m"(in[4]), [in5] "m"(in[5])
      : "rdi", "rsi", "rdx", "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory",
        "cc");
  return result;
}

int main(int argc, char** argv) {
  static const uint64_t wanted[9] = {11, 22, 33, 44, 55, 66, 77, 88, 99};
  gt_begin(argc, argv);
  const long numbers[] = {SYS_getppid, 100000, -1, 0x7fffffff, 4096};
  for (int i = 0; i < 5; i++) {
    const long result = all_registers(numbers[i]);
    CHECK_EQ(result, i == 0 ? getppid() : -ENOSYS);
    CHECK(memcmp(kept, wanted, sizeof wanted) == 0);
    CHECK_EQ(rcx, after);
    CHECK_EQ(r11, flags_before);
    CHECK(r11 & 1);
  }
  return gt_ok();
}
