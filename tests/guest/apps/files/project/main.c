// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#define MODULES(op) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13) op(14) op(15) op(16)
#define DECLARE(n) int module##n(int);
#define CALL(n) sum += module##n(n);
MODULES(DECLARE)

int main(void) {
  int sum = 0;
  MODULES(CALL)
  printf("project sum=%d\n", sum);
  return 0;
}
