// SPDX-License-Identifier: Apache-2.0
#include "base/futex.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "base/error.h"

namespace pando {

FutexWait futex_wait(const std::atomic<uint32_t>& word, uint32_t expected, std::chrono::nanoseconds limit) {
  const timespec timeout{static_cast<time_t>(limit.count() / 1'000'000'000),
                         static_cast<long>(limit.count() % 1'000'000'000)};
  if (syscall(SYS_futex, &word, FUTEX_WAIT, expected, &timeout, nullptr, 0) == 0) return FutexWait::Woken;
  switch (errno) {
    case EAGAIN: return FutexWait::ValueChanged;
    case ETIMEDOUT: return FutexWait::TimedOut;
    case EINTR: return FutexWait::Interrupted;
    default: throw HostError("futex wait", errno);
  }
}

void futex_wake(const std::atomic<uint32_t>& word, int waiters) {
  syscall(SYS_futex, &word, FUTEX_WAKE, waiters, nullptr, nullptr, 0);
}

}  // namespace pando
