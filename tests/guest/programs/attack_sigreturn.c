// SPDX-License-Identifier: Apache-2.0
/* Signal frames changed at random before sigreturn: registers, selectors, flags, FPU image and its
 * header. */
#include <ucontext.h>

#include "hostile.h"

static uint64_t state;

static void spoil_registers(ucontext_t* uc, uint64_t kind) {
  static const uint64_t targets[] = {
      0,          0x710000000000, 0x710000003000, 0x8000000000000000, 0xffffffff81000000,
      0x60100000, ~0ull,          0x7ffffffff000};
  greg_t* const registers = uc->uc_mcontext.gregs;
  if (kind == 0) registers[REG_RIP] = (greg_t)targets[next_random(&state) % 8];
  if (kind == 1) registers[REG_RSP] = (greg_t)targets[next_random(&state) % 8];
  if (kind == 2) registers[REG_EFL] = (greg_t)next_random(&state);
  if (kind == 3) registers[REG_CSGSFS] = (greg_t)next_random(&state);
  if (kind == 4) registers[next_random(&state) % NGREG] = (greg_t)(next_random(&state) << 16);
  if (kind == 5) uc->uc_mcontext.fpregs = (void*)targets[next_random(&state) % 8];
  if (kind == 6) uc->uc_flags = next_random(&state);
  if (kind == 7)
    uc->uc_stack.ss_sp = (void*)targets[next_random(&state) % 8], uc->uc_stack.ss_size = ~0ul;
}

static void handler(int signal_number, siginfo_t* info, void* context) {
  ucontext_t* const uc = context;
  unsigned char* const fpu = (unsigned char*)uc->uc_mcontext.fpregs;
  const uint64_t kind = next_random(&state) % 12;
  if (kind < 8) spoil_registers(uc, kind);
  if (kind == 8 && fpu) memset(fpu + 512, (int)next_random(&state), 64);  /* xsave header */
  if (kind == 9 && fpu) memset(fpu + 24, 0xff, 8);                        /* MXCSR and its mask */
  if (kind == 10 && fpu) memset(fpu + 464, (int)next_random(&state), 48); /* software bytes */
  if (kind == 11 && fpu)
    for (int i = 0; i < 64; i++)
      fpu[next_random(&state) % 1024] = (unsigned char)next_random(&state);
}

static void attack(uint64_t seed) {
  state = seed * 77777;
  gt_on_signal(SIGUSR1, handler, 0);
  for (int i = 0; i < 3; i++) raise(SIGUSR1);
}

int main(int argc, char** argv) {
  gt_begin(argc, argv);
  for (uint64_t seed = 1; seed <= 120; seed++) gt_attack(attack, seed);
  return gt_ok();
}
