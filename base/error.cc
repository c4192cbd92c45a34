// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace pando {

HostError::HostError(const std::string& what_failed, int error_number)
    : std::runtime_error(what_failed + ": " + std::strerror(error_number)), errno_(error_number) {}

long check_errno(long result, const char* what) {
  if (result == -1) throw HostError(what, errno);
  return result;
}

long check_negative(long result, const char* what) {
  if (result < 0 && result > -4096) throw HostError(what, static_cast<int>(-result));
  return result;
}

void check_pthread(int result, const char* what) {
  if (result != 0) throw HostError(what, result);
}

void check_failed(const char* condition, const char* file, int line) {
  char text[512];
  const int n = std::snprintf(text, sizeof text, "pando[%d]: broken invariant: %s (%s:%d)\n", getpid(),
                              condition, file, line);
  if (n > 0) (void)!write(2, text, static_cast<size_t>(n) < sizeof text ? n : sizeof text - 1);
  std::abort();
}

}  // namespace pando
