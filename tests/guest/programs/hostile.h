/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where Pando's stub processes keep what is not the guest's (vmm/stub/stub_layout.h), for programs
 * that attack it. On any other machine these are unmapped or ordinary addresses, and the attacks
 * are harmless.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include "guest_test.h"

static const uintptr_t kStubCode = 0x710000000000, kStubCodeEnd = 0x710000001000;
static const uintptr_t kStubControl = 0x710000001000, kStubReport = 0x710000003000;
static const uintptr_t kStubEnd = 0x71000000c000;

static inline uint64_t next_random(uint64_t* state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return *state >> 20;
}
#endif
