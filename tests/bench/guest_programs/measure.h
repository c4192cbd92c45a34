/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timing of one operation: batches of it, median over the batches.
 * A batch is a function that does the operation `count` times; the time of a batch divided by count
 * is one sample.
 */
#ifndef MEASURE_H
#define MEASURE_H

#include <stdint.h>

uint64_t measure_now_ns(void);
void measure_pin(int cpu);

/* Prints {"name": ..., "median_us": ..., "p10_us": ..., "p90_us": ..., "samples": ...} after
 * `samples` batches; on Pando also what the machine counted, per operation: "per_NAME". */
void measure(const char* name, int samples, int count, void (*batch)(int count));
#endif
