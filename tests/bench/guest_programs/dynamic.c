// SPDX-License-Identifier: Apache-2.0
/* The smallest dynamic program: measures what the loader and the C library cost at each execve. */
#include <unistd.h>

int main(void) {
  return getppid() > 0 ? 0 : 1;
}
