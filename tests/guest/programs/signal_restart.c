// SPDX-License-Identifier: Apache-2.0
/* A blocked read is restarted with SA_RESTART and ends with EINTR without; nanosleep reports what
 * is left. */
#include <sys/time.h>

#include "guest_test.h"

static int ends[2];
static volatile int calls;

static void handler(int signal_number, siginfo_t* info, void* context) {
  calls++;
  if (signal_number == SIGUSR1) write(ends[1], "x", 1);
}

static void alarm_in_ms(int ms) {
  const struct itimerval once = {{0, 0}, {0, ms * 1000}};
  CHECK(setitimer(ITIMER_REAL, &once, NULL) == 0);
}

int main(int argc, char** argv) {
  char byte;
  gt_begin(argc, argv);
  CHECK(pipe(ends) == 0);
  gt_on_signal(SIGALRM, handler, 0);
  alarm_in_ms(20);
  CHECK(read(ends[0], &byte, 1) == -1 && errno == EINTR);
  CHECK_EQ(calls, 1);
  gt_on_signal(SIGUSR1, handler, SA_RESTART);
  const pid_t child = gt_fork();
  if (child == 0) {
    usleep(20000);
    _exit(kill(getppid(), SIGUSR1) == 0 ? 0 : 1);
  }
  CHECK_EQ(read(ends[0], &byte, 1), 1);
  CHECK_EQ(calls, 2);
  gt_wait_exit(child, 0);
  const struct timespec second = {1, 0};
  struct timespec left = {9, 9};
  alarm_in_ms(20);
  CHECK(nanosleep(&second, &left) == -1 && errno == EINTR);
  CHECK(left.tv_sec == 0 && left.tv_nsec > 0 && left.tv_nsec <= 981000000);
  return gt_ok();
}
