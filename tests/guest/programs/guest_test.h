/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every guest test program shares.
 *
 * A program shows one behaviour of an ordinary Linux machine, prints "ok NAME" and exits 0;
 * anything else is a failure.  It may instead print "skip NAME: reason" and exit 77 when the
 * machine cannot show the behaviour.
 * `--cpus 0,3` (or PANDO_TEST_CPUS) names the CPUs that pin() cycles through; by default all CPUs
 * of the process. Programs run on any Linux, and are checked on the host first.
 */
#ifndef GUEST_TEST_H
#define GUEST_TEST_H

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { GT_SKIP = 77, GT_CPUS_MAX = 64, GT_PAGE = 4096 };

/* Reads the arguments; call first.  argv[0] gives the name of the test. */
void gt_begin(int argc, char** argv);
/* The arguments that are not options of gt_begin(). */
extern int gt_argc;
extern char** gt_argv;

int gt_ok(void); /* prints the success line, returns 0 */
_Noreturn void gt_skip(const char* reason);
_Noreturn void gt_fail(const char* file, int line, const char* format, ...)
    __attribute__((format(printf, 3, 4)));

/* Ends the program when the condition is false. */
#define CHECK(condition)                                                               \
  do {                                                                                 \
    if (!(condition)) gt_fail(__FILE__, __LINE__, "%s (errno %d)", #condition, errno); \
  } while (0)
/* As CHECK for a == b, and prints both. */
#define CHECK_EQ(a, b)                                                                           \
  do {                                                                                           \
    const long long gt_a = (long long)(a), gt_b = (long long)(b);                                \
    if (gt_a != gt_b) gt_fail(__FILE__, __LINE__, "%s is %lld, %s is %lld", #a, gt_a, #b, gt_b); \
  } while (0)

int gt_cpus(void);        /* number of CPUs in the list */
int gt_cpu(int index);    /* number of the index-th CPU, cyclic */
void gt_pin(int index);   /* pins the calling thread to gt_cpu(index) */
void gt_need_cpus(int n); /* skips when the list is shorter */

uint64_t gt_now_ns(void); /* CLOCK_MONOTONIC */

/* Threads that share one function: thread i of n runs body(i) pinned to CPU i. */
void gt_threads(int n, void (*body)(int index));
/* Processes: child i runs body(i) pinned to CPU i and must exit 0 (a return from body does). */
void gt_processes(int n, void (*body)(int index));

pid_t gt_fork(void);                    /* flushes, checks */
int gt_wait(pid_t pid);                 /* wait status of that child */
void gt_wait_exit(pid_t pid, int code); /* the child must exit with that code */
void gt_wait_signal(pid_t pid, int signal_number);
/* Runs hostile code in a child, which may die or exit as it likes, but within 20 s; then this
 * process, a fresh child and their memory must be as good as before.  Returns the wait status. */
int gt_attack(void (*body)(uint64_t seed), uint64_t seed);
/* The same for code that may find itself in a loop: it is killed after some seconds. */
int gt_attack_may_loop(void (*body)(uint64_t seed), uint64_t seed);
void* gt_map(size_t bytes);        /* private anonymous, read and write */
void* gt_map_shared(size_t bytes); /* shared anonymous */
void gt_on_signal(int signal_number, void (*handler)(int, siginfo_t*, void*), int flags);
size_t gt_read_file(const char* path, char* text, size_t bytes); /* NUL-terminated */
#endif
