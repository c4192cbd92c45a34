// SPDX-License-Identifier: Apache-2.0
#include "measure.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { kSamplesMax = 200 };

uint64_t measure_now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void measure_pin(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0) {
    perror("sched_setaffinity");
    exit(1);
  }
}

/* What the machine itself counts, where it does: name and value in each line. */
static const char* const counters_file = "/sys/hypervisor/pando/stats";
enum { kCountersMax = 32, kNameMax = 32 };
struct counters {
  int count;
  char name[kCountersMax][kNameMax];
  unsigned long long value[kCountersMax];
};

static void read_counters(struct counters* c) {
  FILE* const file = fopen(counters_file, "r");
  c->count = 0;
  if (!file) return;
  while (c->count < kCountersMax &&
         fscanf(file, "%31s %llu", c->name[c->count], &c->value[c->count]) == 2)
    c->count++;
  fclose(file);
}

static void print_counters(const struct counters* from, const struct counters* to, int operations) {
  for (int i = 0; i < to->count && i < from->count; i++)
    printf(", \"per_%s\": %.4f", to->name[i],
           (double)(to->value[i] - from->value[i]) / operations);
}

static int compare(const void* a, const void* b) {
  const double x = *(const double*)a, y = *(const double*)b;
  return (x > y) - (x < y);
}

void measure(const char* name, int samples, int count, void (*batch)(int count)) {
  static struct counters before, after;
  double us[kSamplesMax];
  if (samples > kSamplesMax) samples = kSamplesMax;
  batch(count / 4 + 1); /* warm up */
  read_counters(&before);
  for (int i = 0; i < samples; i++) {
    const uint64_t begin = measure_now_ns();
    batch(count);
    us[i] = (double)(measure_now_ns() - begin) / 1000.0 / count;
  }
  read_counters(&after);
  qsort(us, (size_t)samples, sizeof us[0], compare);
  printf(
      "{\"name\": \"%s\", \"median_us\": %.3f, \"p10_us\": %.3f, \"p90_us\": %.3f, \"samples\": "
      "%d",
      name, us[samples / 2], us[samples / 10], us[samples * 9 / 10], samples);
  print_counters(&before, &after, samples * count);
  printf("}\n");
  fflush(stdout);
}
