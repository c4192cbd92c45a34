// SPDX-License-Identifier: Apache-2.0
/*
 * cluster-bench: what sharing costs between CPUs, which may belong to different nodes; one JSON
 * line each.
 *
 *   cluster-bench --cpus A,B[,C...] [NAME...]
 * pages, lock, futex and pipe use the first two CPUs of the list, work and forks all of them.
 *   cluster-bench --time NAME COMMAND...
 * measures a command, wherever the kernel runs it.
 */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "measure.h"

enum { kPage = 4096, kCpusMax = 64, kPages = 400 };
static const uint64_t kRunNs = 2000000000;
static int cpus[kCpusMax], cpu_count;

#define MUST(condition)                                                              \
  do {                                                                               \
    if (!(condition)) {                                                              \
      fprintf(stderr, "cluster-bench: %s:%d: %s\n", __FILE__, __LINE__, #condition); \
      exit(1);                                                                       \
    }                                                                                \
  } while (0)

static int compare(const void* a, const void* b) {
  const uint64_t x = *(const uint64_t*)a, y = *(const uint64_t*)b;
  return (x > y) - (x < y);
}

static void print_latency(const char* name, uint64_t* ns, int count) {
  qsort(ns, (size_t)count, sizeof ns[0], compare);
  printf("{\"name\": \"%s\", \"p50_us\": %.2f, \"p99_us\": %.2f, \"samples\": %d}\n", name,
         (double)ns[count / 2] / 1e3, (double)ns[count * 99 / 100] / 1e3, count);
}

/* Two threads take turns by a word that both spin on; each step is done by the thread of the other
 * CPU. */
static _Alignas(kPage) atomic_int step;

static void wait_step(int wanted) {
  while (atomic_load_explicit(&step, memory_order_acquire) != wanted) __builtin_ia32_pause();
}

static _Alignas(kPage) char pages[kPages][kPage];
static uint64_t read_ns[kPages], upgrade_ns[kPages], write_ns[kPages];

static uint64_t timed_write(int page, char value) {
  const uint64_t begin = measure_now_ns();
  *(volatile char*)&pages[page][64] = value;
  return measure_now_ns() - begin;
}

/* The first CPU owns all pages; the second one reads, then writes each; the first one takes them
 * back by writing. */
static void* pages_second(void* unused) {
  measure_pin(cpus[1]);
  for (int i = 0; i < kPages; i++)
    (void)*(volatile char*)&pages[i][128]; /* own page tables are warm */
  atomic_store(&step, 1);
  wait_step(2);
  for (int i = 0; i < kPages; i++) {
    const uint64_t begin = measure_now_ns();
    (void)*(volatile char*)&pages[i][64];
    read_ns[i] = measure_now_ns() - begin;
    upgrade_ns[i] = timed_write(i, 2);
  }
  atomic_store(&step, 3);
  return unused;
}

static void bench_pages(void) {
  pthread_t thread;
  if (cpu_count < 2) return;
  for (int i = 0; i < kPages; i++) pages[i][0] = 1;
  step = 0;
  MUST(pthread_create(&thread, NULL, pages_second, NULL) == 0);
  wait_step(1);
  for (int i = 0; i < kPages; i++) pages[i][0] = 3;
  atomic_store(&step, 2);
  wait_step(3);
  for (int i = 0; i < kPages; i++) write_ns[i] = timed_write(i, 4);
  MUST(pthread_join(thread, NULL) == 0);
  print_latency("remote_read_fault", read_ns, kPages);
  print_latency("remote_upgrade_fault", upgrade_ns, kPages);
  print_latency("remote_write_fault", write_ns, kPages);
}

/* Threads on all CPUs that share something for kRunNs; prints operations per second of all and of
 * each. */
static void (*operation)(void);
static _Alignas(kPage) atomic_bool running;
static _Alignas(kPage) uint64_t done[kCpusMax][kPage / 8];

static void* share(void* index) {
  const long i = (long)index;
  uint64_t count = 0;
  measure_pin(cpus[i]);
  while (!atomic_load_explicit(&running, memory_order_relaxed)) __builtin_ia32_pause();
  const uint64_t end = measure_now_ns() + kRunNs;
  while ((count & 15) != 0 || measure_now_ns() < end) {
    operation();
    count++;
  }
  done[i][0] = count;
  return NULL;
}

static void print_rates(const char* name, int count) {
  double sum = 0;
  for (int i = 0; i < count; i++) sum += (double)done[i][0];
  printf("{\"name\": \"%s\", \"per_second\": %.0f, \"each\": [", name,
         sum / ((double)kRunNs / 1e9));
  for (int i = 0; i < count; i++)
    printf("%s%.0f", i ? ", " : "", (double)done[i][0] / ((double)kRunNs / 1e9));
  printf("]}\n");
}

static void bench_shared(const char* name, void (*body)(void), int count) {
  pthread_t thread[kCpusMax];
  operation = body;
  running = false;
  for (long i = 0; i < count; i++) MUST(pthread_create(&thread[i], NULL, share, (void*)i) == 0);
  running = true;
  for (int i = 0; i < count; i++) MUST(pthread_join(thread[i], NULL) == 0);
  print_rates(name, count);
}

static _Alignas(kPage) atomic_flag spinlock = ATOMIC_FLAG_INIT;
static _Alignas(kPage) pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static _Alignas(kPage) volatile long guarded;

static void spin_operation(void) {
  while (atomic_flag_test_and_set_explicit(&spinlock, memory_order_acquire)) __builtin_ia32_pause();
  guarded++;
  atomic_flag_clear_explicit(&spinlock, memory_order_release);
}

static void mutex_operation(void) {
  pthread_mutex_lock(&mutex);
  guarded++;
  pthread_mutex_unlock(&mutex);
}

static void work_operation(void) {
  volatile double x = 1.0;
  for (int i = 0; i < 10000; i++) x = x * 1.0000001 + 0.5;
}

static void bench_lock(void) {
  bench_shared("contended_spinlock", spin_operation, cpu_count < 2 ? 1 : 2);
}
static void bench_mutex(void) {
  bench_shared("contended_mutex", mutex_operation, cpu_count < 2 ? 1 : 2);
}
static void bench_work(void) {
  bench_shared("cpu_work", work_operation, cpu_count);
}

/* A futex that two threads hand to each other. */
static _Alignas(kPage) _Atomic uint32_t token;

static void* futex_side(void* side) {
  const uint32_t mine = (uint32_t)(long)side;
  measure_pin(cpus[mine]);
  for (int i = 0; i < 500; i++) {
    uint32_t now;
    while (((now = token) & 1) != mine)
      syscall(SYS_futex, &token, FUTEX_WAIT_PRIVATE, now, NULL, NULL, 0);
    token = now + 1;
    syscall(SYS_futex, &token, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
  }
  return NULL;
}

static void bench_futex(void) {
  pthread_t thread;
  if (cpu_count < 2) return;
  token = 0;
  MUST(pthread_create(&thread, NULL, futex_side, (void*)1) == 0);
  const uint64_t begin = measure_now_ns();
  futex_side((void*)0);
  MUST(pthread_join(thread, NULL) == 0);
  printf("{\"name\": \"futex_round\", \"mean_us\": %.2f}\n",
         (double)(measure_now_ns() - begin) / 500e3);
}

static void bench_pipe(void) {
  int there[2], back[2];
  char byte = 'x';
  uint64_t ns[300];
  if (cpu_count < 2) return;
  MUST(pipe(there) == 0 && pipe(back) == 0);
  const pid_t child = fork();
  MUST(child >= 0);
  if (child == 0) {
    measure_pin(cpus[1]);
    close(there[1]);
    while (read(there[0], &byte, 1) == 1) MUST(write(back[1], &byte, 1) == 1);
    _exit(0);
  }
  for (int i = 0; i < 300; i++) {
    const uint64_t begin = measure_now_ns();
    MUST(write(there[1], &byte, 1) == 1 && read(back[0], &byte, 1) == 1);
    ns[i] = measure_now_ns() - begin;
  }
  close(there[1]);
  MUST(waitpid(child, NULL, 0) == child);
  print_latency("pipe_round", ns, 300);
}

/* Every CPU forks children that exit at once. */
static void bench_forks(void) {
  uint64_t* const counts =
      mmap(NULL, kCpusMax * kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  MUST(counts != MAP_FAILED);
  pid_t families[kCpusMax];
  for (int i = 0; i < cpu_count; i++) {
    families[i] = fork();
    MUST(families[i] >= 0);
    if (families[i] != 0) continue;
    measure_pin(cpus[i]);
    const uint64_t end = measure_now_ns() + kRunNs;
    while (measure_now_ns() < end) {
      const pid_t child = fork();
      MUST(child >= 0);
      if (child == 0) _exit(0);
      MUST(waitpid(child, NULL, 0) == child);
      counts[i * (kPage / 8)]++;
    }
    _exit(0);
  }
  for (int i = 0; i < cpu_count; i++) MUST(waitpid(families[i], NULL, 0) == families[i]);
  for (int i = 0; i < cpu_count; i++) done[i][0] = counts[i * (kPage / 8)];
  munmap(counts, kCpusMax * kPage);
  print_rates("fork_storm", cpu_count);
}

static const struct {
  const char* name;
  void (*run)(void);
} benches[] = {{"pages", bench_pages}, {"lock", bench_lock}, {"mutex", bench_mutex},
               {"futex", bench_futex}, {"pipe", bench_pipe}, {"work", bench_work},
               {"forks", bench_forks}};

static int time_command(const char* name, char** command) {
  int status;
  const uint64_t begin = measure_now_ns();
  const pid_t child = fork();
  MUST(child >= 0);
  if (child == 0) {
    execvp(command[0], command);
    perror(command[0]);
    _exit(127);
  }
  MUST(waitpid(child, &status, 0) == child);
  printf("{\"name\": \"%s\", \"seconds\": %.3f}\n", name, (double)(measure_now_ns() - begin) / 1e9);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char** argv) {
  int at = 1;
  if (argc > 3 && strcmp(argv[1], "--time") == 0) return time_command(argv[2], argv + 3);
  if (argc > 2 && strcmp(argv[1], "--cpus") == 0) {
    for (char* text = strtok(argv[2], ","); text && cpu_count < kCpusMax; text = strtok(NULL, ","))
      cpus[cpu_count++] = atoi(text);
    at = 3;
  }
  if (cpu_count == 0)
    return fprintf(stderr, "usage: cluster-bench --cpus A,B[,C...] [NAME...] | --time NAME COMMAND...\n"), 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (unsigned i = 0; i < sizeof benches / sizeof benches[0]; i++) {
    int wanted = at == argc;
    for (int a = at; a < argc; a++) wanted |= strcmp(argv[a], benches[i].name) == 0;
    measure_pin(cpus[0]);
    if (wanted) benches[i].run();
  }
  return 0;
}
