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

static int compare(const void* a, const void* b) {
  const double x = *(const double*)a, y = *(const double*)b;
  return (x > y) - (x < y);
}

void measure(const char* name, int samples, int count, void (*batch)(int count)) {
  double us[kSamplesMax];
  if (samples > kSamplesMax) samples = kSamplesMax;
  batch(count / 4 + 1); /* warm up */
  for (int i = 0; i < samples; i++) {
    const uint64_t begin = measure_now_ns();
    batch(count);
    us[i] = (double)(measure_now_ns() - begin) / 1000.0 / count;
  }
  qsort(us, (size_t)samples, sizeof us[0], compare);
  printf(
      "{\"name\": \"%s\", \"median_us\": %.3f, \"p10_us\": %.3f, \"p90_us\": %.3f, \"samples\": "
      "%d}\n",
      name, us[samples / 2], us[samples / 10], us[samples * 9 / 10], samples);
  fflush(stdout);
}
