// SPDX-License-Identifier: Apache-2.0
/*
 * guest-bench: prices of the basic operations of a machine, one JSON line each; the same program
 * runs on the host, on user-mode-linux and on Pando (tools/bench guest).
 *
 *   guest-bench [--cpus A,B] [--dynamic PATH] [NAME...]
 * A is the CPU that everything is pinned to, B the second one of the measurements over two CPUs
 * (left out without).
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "measure.h"

enum { kPage = 4096, kFaultAround = 16, kFilePages = 4096 };
static int first_cpu = 0, second_cpu = -1;
static const char* dynamic = "/pando/bench/guest-bench-dynamic";

#define MUST(condition)                                                            \
  do {                                                                             \
    if (!(condition)) {                                                            \
      fprintf(stderr, "guest-bench: %s:%d: %s\n", __FILE__, __LINE__, #condition); \
      exit(1);                                                                     \
    }                                                                              \
  } while (0)

static void getppid_batch(int count) {
  for (int i = 0; i < count; i++) syscall(SYS_getppid);
}

static void fork_batch(int count) {
  for (int i = 0; i < count; i++) {
    const pid_t child = fork();
    MUST(child >= 0);
    if (child == 0) _exit(0);
    MUST(waitpid(child, NULL, 0) == child);
  }
}

static void exec_batch(int count) {
  char* const argv[] = {(char*)dynamic, NULL};
  for (int i = 0; i < count; i++) {
    int status;
    pid_t child;
    MUST(posix_spawn(&child, dynamic, NULL, NULL, argv, argv + 1) == 0);
    MUST(waitpid(child, &status, 0) == child && status == 0);
  }
}

static void anonymous_batch(int count) {
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
  char* const at = mmap(NULL, (size_t)count * kPage, PROT_READ | PROT_WRITE, flags, -1, 0);
  MUST(at != MAP_FAILED);
  madvise(at, (size_t)count * kPage, MADV_NOHUGEPAGE);
  for (int i = 0; i < count; i++) at[(long)i * kPage] = 1;
  munmap(at, (size_t)count * kPage);
}

/* Pages of a file in the page cache: one access for each 16 pages, which is what the kernel maps at
 * one fault. */
static void file_batch(int count) {
  static int fd = -1;
  static char block[kPage];
  if (fd < 0) {
    char name[] = "/tmp/guest-bench.XXXXXX";
    fd = mkstemp(name);
    MUST(fd >= 0 && unlink(name) == 0);
    for (int i = 0; i < kFilePages; i++) MUST(write(fd, block, sizeof block) == sizeof block);
  }
  const size_t bytes = (size_t)count * kFaultAround * kPage;
  char* const at = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
  MUST(at != MAP_FAILED);
  for (size_t i = 0; i < bytes; i += kFaultAround * kPage) (void)*(volatile char*)(at + i);
  munmap(at, bytes);
}

/* A child that answers each byte; made once per measurement. */
static int to_child[2], from_child[2];
static pid_t partner;

static void start_partner(int cpu) {
  MUST(pipe(to_child) == 0 && pipe(from_child) == 0);
  partner = fork();
  MUST(partner >= 0);
  if (partner == 0) {
    char byte;
    measure_pin(cpu);
    close(to_child[1]);
    while (read(to_child[0], &byte, 1) == 1) MUST(write(from_child[1], &byte, 1) == 1);
    _exit(0);
  }
  close(to_child[0]);
}

static void stop_partner(void) {
  close(to_child[1]), close(from_child[0]), close(from_child[1]);
  MUST(waitpid(partner, NULL, 0) == partner);
}

static void pipe_batch(int count) {
  char byte = 'x';
  for (int i = 0; i < count; i++)
    MUST(write(to_child[1], &byte, 1) == 1 && read(from_child[0], &byte, 1) == 1);
}

/* Two processes on one CPU that yield to each other: two switches per round. */
static volatile int* yields;

static void yield_batch(int count) {
  yields[0] = 1;
  for (int i = 0; i < count; i++) sched_yield();
}

static void measure_yield(void) {
  yields = mmap(NULL, kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  MUST(yields != MAP_FAILED);
  partner = fork();
  MUST(partner >= 0);
  if (partner == 0)
    while (yields[1] == 0) sched_yield();
  if (partner == 0) _exit(0);
  measure("switch_round", 15, 500, yield_batch);
  yields[1] = 1;
  MUST(waitpid(partner, NULL, 0) == partner);
}

static void* nothing(void* unused) {
  return NULL;
}

static void thread_batch(int count) {
  for (int i = 0; i < count; i++) {
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, nothing, NULL) == 0);
    MUST(pthread_join(thread, NULL) == 0);
  }
}

static void measure_pipe_one(void) {
  start_partner(first_cpu);
  measure("pipe_round_1cpu", 15, 500, pipe_batch);
  stop_partner();
}

static void measure_pipe_two(void) {
  if (second_cpu < 0) return;
  start_partner(second_cpu);
  measure("pipe_round_2cpu", 15, 300, pipe_batch);
  stop_partner();
}

static void measure_getppid(void) {
  measure("getppid", 15, 5000, getppid_batch);
}
static void measure_fork(void) {
  measure("fork_exit_wait", 15, 20, fork_batch);
}
static void measure_exec(void) {
  measure("exec_dynamic", 11, 10, exec_batch);
}
static void measure_anonymous(void) {
  measure("anonymous_fault", 15, 500, anonymous_batch);
}
static void measure_file(void) {
  measure("file_fault", 15, kFilePages / kFaultAround, file_batch);
}
static void measure_thread(void) {
  measure("thread_create_join", 15, 50, thread_batch);
}

static const struct {
  const char* name;
  void (*run)(void);
} measurements[] = {
    {"getppid", measure_getppid},     {"fork", measure_fork},    {"exec", measure_exec},
    {"anonymous", measure_anonymous}, {"file", measure_file},    {"pipe1", measure_pipe_one},
    {"pipe2", measure_pipe_two},      {"switch", measure_yield}, {"thread", measure_thread},
};

static void parse_cpus(const char* text) {
  char* end;
  first_cpu = (int)strtol(text, &end, 10);
  second_cpu = *end == ',' ? (int)strtol(end + 1, NULL, 10) : -1;
}

static int wanted(const char* name, int count, char** names) {
  for (int i = 0; i < count; i++)
    if (strcmp(names[i], name) == 0) return 1;
  return count == 0;
}

int main(int argc, char** argv) {
  int at = 1;
  for (; at + 1 < argc && strncmp(argv[at], "--", 2) == 0; at += 2) {
    if (strcmp(argv[at], "--cpus") == 0)
      parse_cpus(argv[at + 1]);
    else if (strcmp(argv[at], "--dynamic") == 0)
      dynamic = argv[at + 1];
    else
      return fprintf(stderr, "guest-bench: unknown option %s\n", argv[at]), 2;
  }
  measure_pin(first_cpu);
  for (unsigned i = 0; i < sizeof measurements / sizeof measurements[0]; i++)
    if (wanted(measurements[i].name, argc - at, argv + at)) measurements[i].run();
  return 0;
}
