// SPDX-License-Identifier: Apache-2.0
/*
 * Shows from inside the guest that several hosts are one machine: processors and memory of every
 * node, then one process with a thread per node: all threads add to one counter and pass a word
 * around in a ring, through plain memory.  Ends with the pages that moved.  Status 0 when all sums
 * are exact.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

enum { kNodesMax = 16, kAdditions = 100000, kRounds = 200 };

struct stats {
  unsigned long long read, write, wait_ns;
};

struct worker {
  pthread_t thread;
  int index, cpu;
  struct stats before, after;
};

static struct worker workers[kNodesMax];
static int worker_count;
static pthread_barrier_t together;
static _Alignas(4096) atomic_ulong counter;
static _Alignas(4096) atomic_int token;
static _Alignas(4096) atomic_ulong token_steps;

static void print_file(const char* path) {
  char line[256];
  FILE* file = fopen(path, "re");

  if (!file) return;
  while (fgets(line, sizeof line, file)) printf("    %s", line);
  fclose(file);
}

static long memory_mib(void) {
  char line[128];
  long kib = 0;
  FILE* file = fopen("/proc/meminfo", "re");

  while (file && fgets(line, sizeof line, file))
    if (sscanf(line, "MemTotal: %ld kB", &kib) == 1) break;
  if (file) fclose(file);
  return kib / 1024;
}

/* The first processor of a NUMA node, or -1. */
static int first_cpu(int node) {
  char path[80];
  int cpu = -1;

  snprintf(path, sizeof path, "/sys/devices/system/node/node%d/cpulist", node);
  FILE* file = fopen(path, "re");
  if (!file) return -1;
  if (fscanf(file, "%d", &cpu) != 1) cpu = -1;
  fclose(file);
  return cpu;
}

static struct stats read_stats(void) {
  struct stats stats = {0};
  char line[128];
  FILE* file = fopen("/sys/hypervisor/pando/stats", "re");

  while (file && fgets(line, sizeof line, file)) {
    sscanf(line, "faults_remote_read %llu", &stats.read);
    sscanf(line, "faults_remote_write %llu", &stats.write);
    sscanf(line, "fault_wait_ns %llu", &stats.wait_ns);
  }
  if (file) fclose(file);
  return stats;
}

static void pin_to(int cpu) {
  cpu_set_t set;

  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0) perror("sched_setaffinity");
}

/* The word goes round: a thread that finds its own number hands on to the next one. */
static void pass_token(int index) {
  for (int round = 0; round < kRounds; round++) {
    while (atomic_load(&token) != index) sched_yield();
    atomic_fetch_add(&token_steps, 1);
    atomic_store(&token, (index + 1) % worker_count);
  }
}

static void* work(void* argument) {
  struct worker* self = argument;

  pin_to(self->cpu);
  self->before = read_stats();
  pthread_barrier_wait(&together);
  for (int i = 0; i < kAdditions; i++) atomic_fetch_add(&counter, 1);
  pass_token(self->index);
  pthread_barrier_wait(&together);
  self->after = read_stats();
  return NULL;
}

static double now_seconds(void) {
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void show_machine(void) {
  struct utsname names;

  uname(&names);
  printf("%s %s: one kernel, %ld processors, %ld MiB of memory\n", names.sysname, names.release,
         sysconf(_SC_NPROCESSORS_ONLN), memory_mib());
  puts("  its nodes (/sys/hypervisor/pando/nodes):");
  print_file("/sys/hypervisor/pando/nodes");
}

int main(void) {
  show_machine();
  for (int node = 0; node < kNodesMax; node++) {
    const int cpu = first_cpu(node);
    if (cpu < 0) continue;
    workers[worker_count] = (struct worker){.index = worker_count, .cpu = cpu};
    worker_count++;
  }
  if (worker_count == 0) {
    fputs("no NUMA node has a processor\n", stderr);
    return 1;
  }
  pthread_barrier_init(&together, NULL, (unsigned)worker_count);
  const double began = now_seconds();
  for (int i = 0; i < worker_count; i++)
    if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) return 1;
  for (int i = 0; i < worker_count; i++) pthread_join(workers[i].thread, NULL);
  const double seconds = now_seconds() - began;

  const unsigned long added = atomic_load(&counter), steps = atomic_load(&token_steps);
  printf("one process, a thread on each node, %.2f s:\n", seconds);
  printf("  counter in shared memory: %lu, expected %d\n", added, kAdditions * worker_count);
  printf("  hand-overs in a ring: %lu, expected %d\n", steps, kRounds * worker_count);
  unsigned long long moved = 0;
  for (int i = 0; i < worker_count; i++) {
    const struct stats *a = &workers[i].before, *b = &workers[i].after;
    printf("  node of cpu %d fetched %llu pages to read, %llu to write, waited %.1f ms\n",
           workers[i].cpu, b->read - a->read, b->write - a->write,
           (double)(b->wait_ns - a->wait_ns) / 1e6);
    moved += b->read - a->read + b->write - a->write;
  }
  printf("pages moved between nodes: %llu\n", moved);
  return added == (unsigned long)kAdditions * worker_count &&
                 steps == (unsigned long)kRounds * worker_count
             ? 0
             : 1;
}
