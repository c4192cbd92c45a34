// SPDX-License-Identifier: Apache-2.0
/* Code written at run time runs, also when it is rewritten on another CPU and behind W^X protection
 * changes. */
#include "guest_test.h"

static unsigned char* code;
static _Alignas(64) atomic_int step;

static void write_code(int value) {
  code[0] = 0xb8; /* mov $value, %eax; ret */
  memcpy(code + 1, &value, 4);
  code[5] = 0xc3;
}

static void body(int index) {
  for (int round = 0; round < 200; round++) {
    while (step != 2 * round + index) sched_yield();
    if (index == 0) {
      CHECK(mprotect(code, GT_PAGE, PROT_READ | PROT_WRITE) == 0);
      write_code(round * 3);
      CHECK(mprotect(code, GT_PAGE, PROT_READ | PROT_EXEC) == 0);
    } else {
      uint32_t a = 0, b, c = 0, d;
      __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d)); /* serialise */
    }
    CHECK_EQ(((int (*)(void))code)(), round * 3);
    step++;
  }
}

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  code = gt_map(GT_PAGE);
  gt_threads(2, body);
  return gt_ok();
}
