// SPDX-License-Identifier: Apache-2.0
/* All vector registers survive asynchronous, nested signals whose handlers overwrite them, at every
 * width. */
#include <sys/time.h>

#include "vector_state.h"

enum { kSignals = 30 };
static enum vector_width width;
static volatile int outer_done, inner_done, inner_count;

static void inner(int signal_number, siginfo_t* info, void* context) {
  struct vector_state in, out;
  vector_pattern(&in, 777);
  static const int one = 1;
  VECTOR_AROUND(width, &in, &out, &one, VECTOR_SPIN);
  CHECK(vector_equal(&in, &out, width));
  inner_count++;
  inner_done = 1;
}

static void outer(int signal_number, siginfo_t* info, void* context) {
  static int count;
  struct vector_state in, out;
  vector_pattern(&in, 1000 + (uint64_t)count);
  inner_done = 0;
  kill(getpid(),
       SIGUSR1); /* blocked here: arrives when sigreturn has unblocked it, or nested below */
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  if (count & 1) sigprocmask(SIG_UNBLOCK, &set, NULL);
  const int* const word = count & 1 ? (const int*)&inner_done : &(const int){1};
  VECTOR_AROUND(width, &in, &out, word, VECTOR_SPIN);
  CHECK(vector_equal(&in, &out, width));
  if (++count % kSignals == 0) outer_done = 1;
}

int main(int argc, char** argv) {
  const struct itimerval tick = {{0, 2000}, {0, 2000}}, off = {{0, 0}, {0, 0}};
  struct sigaction action = {.sa_sigaction = outer, .sa_flags = SA_SIGINFO | SA_RESTART};
  gt_begin(argc, argv);
  sigaddset(&action.sa_mask, SIGUSR1);
  gt_on_signal(SIGUSR1, inner, 0);
  CHECK(sigaction(SIGALRM, &action, NULL) == 0);
  for (width = VECTOR_SSE; width <= vector_widest(); width++) {
    struct vector_state in, out;
    vector_pattern(&in, (uint64_t)width);
    outer_done = inner_count = 0;
    CHECK(setitimer(ITIMER_REAL, &tick, NULL) == 0);
    VECTOR_AROUND(width, &in, &out, &outer_done, VECTOR_SPIN);
    CHECK(setitimer(ITIMER_REAL, &off, NULL) == 0);
    CHECK(vector_equal(&in, &out, width));
    CHECK(inner_count > 0);
  }
  return gt_ok();
}
