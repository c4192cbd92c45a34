// SPDX-License-Identifier: Apache-2.0
/*
 * Litmus tests of the x86-TSO memory model, threads pinned to different CPUs: no forbidden outcome
 * may be seen. Arguments: --runs N (per test; default 3000, or as many as 3 s permit, but 30), then
 * names of tests; prints one line per test with the number of allowed weak outcomes seen. Variables
 * lie on pages of their own, or on one page with --one-page.
 */
#include "guest_test.h"

enum { kVariables = 2, kThreadsMax = 4, kRegisters = 4 };
static volatile int* variable[kVariables];
static _Alignas(GT_PAGE) volatile int r[kThreadsMax][kRegisters * 4]; /* r[t][i]: what thread t
                                                                         read; a cache line each */
static _Alignas(GT_PAGE) volatile int last[kVariables];
static _Alignas(GT_PAGE) atomic_int arrived;
static atomic_bool enough; /* set by thread 0 before all meet */

#define X (*variable[0])
#define Y (*variable[1])
#define FENCE __asm__ volatile("mfence" ::: "memory")
#define LOCKED(at, value) __atomic_exchange_n(&(at), (value), __ATOMIC_SEQ_CST)

typedef void thread_body(void);
struct litmus {
  const char* name;
  int threads;
  thread_body* body[kThreadsMax];
  bool (*forbidden)(void);
  bool (*weak)(void); /* allowed by TSO, not by sequential consistency */
};

static void write_x(void) {
  X = 1;
}
static void write_y(void) {
  Y = 1;
}
static void write_x_y(void) {
  X = 1, Y = 1;
}
static void read_y_x(void) {
  r[1][0] = Y, r[1][1] = X;
}
static bool mp_bad(void) {
  return r[1][0] == 1 && r[1][1] == 0;
}

static void sb0(void) {
  X = 1, r[0][0] = Y;
}
static void sb1(void) {
  Y = 1, r[1][0] = X;
}
static bool sb_weak(void) {
  return r[0][0] == 0 && r[1][0] == 0;
}
static void sb0_fence(void) {
  X = 1;
  FENCE;
  r[0][0] = Y;
}
static void sb1_fence(void) {
  Y = 1;
  FENCE;
  r[1][0] = X;
}
static void sb0_lock(void) {
  LOCKED(X, 1), r[0][0] = Y;
}
static void sb1_lock(void) {
  LOCKED(Y, 1), r[1][0] = X;
}

static void lb0(void) {
  r[0][0] = X, Y = 1;
}
static void lb1(void) {
  r[1][0] = Y, X = 1;
}
static bool lb_bad(void) {
  return r[0][0] == 1 && r[1][0] == 1;
}

static void iriw2(void) {
  r[2][0] = X, r[2][1] = Y;
}
static void iriw3(void) {
  r[3][0] = Y, r[3][1] = X;
}
static bool iriw_bad(void) {
  return r[2][0] == 1 && r[2][1] == 0 && r[3][0] == 1 && r[3][1] == 0;
}

static void ww0(void) {
  X = 1, Y = 2;
}
static void ww1(void) {
  Y = 1, X = 2;
}
static bool ww_bad(void) {
  return last[0] == 1 && last[1] == 1;
}

static void s1(void) {
  r[1][0] = Y, X = 1;
}
static void s0(void) {
  X = 2, Y = 1;
}
static bool s_bad(void) {
  return r[1][0] == 1 && last[0] == 2;
}

static void r0(void) {
  X = 1, Y = 1;
}
static void r1(void) {
  Y = 2, r[1][0] = X;
}
static void r1_fence(void) {
  Y = 2;
  FENCE;
  r[1][0] = X;
}
static bool r_weak(void) {
  return last[1] == 2 && r[1][0] == 0;
}

static void corr1(void) {
  r[1][0] = X, r[1][1] = X;
}
static bool corr_bad(void) {
  return r[1][0] == 1 && r[1][1] == 0;
}

static void wrc1(void) {
  r[1][0] = X, Y = 1;
}
static void wrc2(void) {
  r[2][0] = Y, r[2][1] = X;
}
static bool wrc_bad(void) {
  return r[1][0] == 1 && r[2][0] == 1 && r[2][1] == 0;
}

static void add_x(void) {
  __atomic_fetch_add(&X, 1, __ATOMIC_SEQ_CST);
}
static bool add_bad(void) {
  return last[0] != 4;
}

static const struct litmus tests[] = {
    {"MP", 2, {write_x_y, read_y_x}, mp_bad, NULL},
    {"SB", 2, {sb0, sb1}, NULL, sb_weak},
    {"SB+mfence", 2, {sb0_fence, sb1_fence}, sb_weak, NULL},
    {"SB+locked", 2, {sb0_lock, sb1_lock}, sb_weak, NULL},
    {"LB", 2, {lb0, lb1}, lb_bad, NULL},
    {"IRIW", 4, {write_x, write_y, iriw2, iriw3}, iriw_bad, NULL},
    {"2+2W", 2, {ww0, ww1}, ww_bad, NULL},
    {"S", 2, {s0, s1}, s_bad, NULL},
    {"R", 2, {r0, r1}, NULL, r_weak},
    {"R+mfence", 2, {r0, r1_fence}, r_weak, NULL},
    {"CoRR", 2, {write_x, corr1}, corr_bad, NULL},
    {"WRC", 3, {write_x, wrc1, wrc2}, wrc_bad, NULL},
    {"locked-add", 4, {add_x, add_x, add_x, add_x}, add_bad, NULL},
};
enum { kTests = sizeof tests / sizeof tests[0] };

static const struct litmus* current;
enum { kRunsMin = 30 };
static const uint64_t kBudgetNs = 3000000000;
static int runs, done;
static bool limited = true;
static long weak, forbidden;

/* Meets all threads of the test. With fewer CPUs than threads the others need this CPU: yield now
 * and then. */
static void meet(int* generation) {
  *generation += current->threads;
  atomic_fetch_add(&arrived, 1);
  for (int spins = 0; arrived - *generation < 0; spins++)
    if (gt_cpus() < current->threads || spins % 1000 == 999)
      sched_yield();
    else
      __builtin_ia32_pause();
}

static void body(int index) {
  const uint64_t end = gt_now_ns() + kBudgetNs;
  int generation = 0;
  for (int run = 0;; run++) {
    if (index == 0) {
      enough = run == runs || (limited && run >= kRunsMin && gt_now_ns() > end);
      done = run;
      for (int v = 0; v < kVariables; v++) *variable[v] = 0;
    }
    meet(&generation);
    if (enough) break;
    for (volatile int delay = run * (index + 3) % 7; delay > 0; delay--) continue;
    current->body[index]();
    meet(&generation);
    if (index == 0) {
      for (int v = 0; v < kVariables; v++) last[v] = *variable[v];
      forbidden += current->forbidden && current->forbidden();
      weak += current->weak && current->weak();
    }
  }
}

static bool chosen(const char* name, int first) {
  for (int i = first; i < gt_argc; i++)
    if (strcmp(gt_argv[i], name) == 0) return true;
  return first >= gt_argc;
}

int main(int argc, char** argv) {
  int at = 0;
  long all = 0;
  gt_begin(argc, argv);
  runs = gt_cpus() > 1 ? 3000 : 200;
  char* const pages = gt_map_shared(kVariables * GT_PAGE);
  for (int v = 0; v < kVariables; v++) variable[v] = (volatile int*)(pages + v * GT_PAGE);
  for (; at < gt_argc && strncmp(gt_argv[at], "--", 2) == 0; at++) {
    if (strcmp(gt_argv[at], "--one-page") == 0)
      variable[1] = (volatile int*)(pages + 64);
    else if (strcmp(gt_argv[at], "--runs") == 0 && at + 1 < gt_argc)
      runs = atoi(gt_argv[++at]), limited = false;
    else
      gt_fail(__FILE__, __LINE__, "unknown option %s", gt_argv[at]);
  }
  for (int i = 0; i < kTests; i++) {
    if (!chosen(tests[i].name, at)) continue;
    current = &tests[i];
    weak = forbidden = 0;
    arrived = 0;
    gt_threads(current->threads, body);
    printf("litmus %s: %d runs, %ld forbidden, %ld weak\n", current->name, done, forbidden, weak);
    all += forbidden;
  }
  CHECK_EQ(all, 0);
  return gt_ok();
}
