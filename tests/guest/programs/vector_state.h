/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All vector registers of the CPU as one array: load a pattern, let something happen, store and
 * compare. The widest set that the kernel enabled is used: 16 xmm, 16 ymm or 32 zmm with k1-k7.
 */
#ifndef VECTOR_STATE_H
#define VECTOR_STATE_H

#include <cpuid.h>

#include "guest_test.h"

struct vector_state {
  uint64_t zmm[32][8];
  uint64_t mask[8]; /* k1 .. k7 */
};
enum vector_width { VECTOR_SSE, VECTOR_AVX, VECTOR_AVX512, VECTOR_WIDTHS };
static const char* const vector_names[] = {"SSE", "AVX", "AVX-512"};

static inline enum vector_width vector_widest(void) {
  uint32_t a, b, c, d, low, high;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return VECTOR_SSE;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  if ((low & 6) != 6 || !(c & bit_AVX)) return VECTOR_SSE;
  if ((low & 0xe6) == 0xe6 && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_AVX512F))
    return VECTOR_AVX512;
  return VECTOR_AVX;
}

static inline void vector_pattern(struct vector_state* state, uint64_t seed) {
  uint64_t* const words = (uint64_t*)state;
  for (size_t i = 0; i < sizeof *state / 8; i++) words[i] = (seed + i + 1) * 0x9e3779b97f4a7c15u;
  for (int i = 0; i < 8; i++) state->mask[i] &= 0xffff;
}

/* Compares the part that exists at this width. */
static inline bool vector_equal(const struct vector_state* a, const struct vector_state* b,
                                enum vector_width width) {
  const int registers = width == VECTOR_AVX512 ? 32 : 16, words = 2 << width;
  for (int i = 0; i < registers; i++)
    for (int w = 0; w < words; w++)
      if (a->zmm[i][w] != b->zmm[i][w]) return false;
  return width != VECTOR_AVX512 || memcmp(a->mask, b->mask, 7 * 8) == 0;
}

#define VECTOR_16(op)                                                                            \
  op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13) op(14) \
      op(15)
#define VECTOR_HIGH_16(op)                                                                   \
  op(16) op(17) op(18) op(19) op(20) op(21) op(22) op(23) op(24) op(25) op(26) op(27) op(28) \
      op(29) op(30) op(31)
#define VECTOR_MASKS(op) op(1) op(2) op(3) op(4) op(5) op(6) op(7)
#define VL_XMM(n) "movdqu " #n "*64(%0), %%xmm" #n "\n\t"
#define VS_XMM(n) "movdqu %%xmm" #n ", " #n "*64(%1)\n\t"
#define VL_YMM(n) "vmovdqu " #n "*64(%0), %%ymm" #n "\n\t"
#define VS_YMM(n) "vmovdqu %%ymm" #n ", " #n "*64(%1)\n\t"
#define VL_ZMM(n) "vmovdqu64 " #n "*64(%0), %%zmm" #n "\n\t"
#define VS_ZMM(n) "vmovdqu64 %%zmm" #n ", " #n "*64(%1)\n\t"
#define VL_K(n) "kmovw 2048+" #n "*8-8(%0), %%k" #n "\n\t"
#define VS_K(n) "kmovw %%k" #n ", 2048+" #n "*8-8(%1)\n\t"
#define VECTOR_CLOBBERS                                                                           \
  "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", \
      "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"

/* Loads all registers from `in`, executes `code` (it may use rax, rcx, r11 and `%2` = word), stores
 * to `out`. */
#define VECTOR_AROUND(width, in, out, word, code)                                                 \
  do {                                                                                            \
    memset((out), 0, sizeof *(out));                                                              \
    if ((width) == VECTOR_AVX512)                                                                 \
      __asm__ volatile(VECTOR_16(VL_ZMM) VECTOR_HIGH_16(VL_ZMM) VECTOR_MASKS(VL_K)                \
                           code VECTOR_16(VS_ZMM) VECTOR_HIGH_16(VS_ZMM)                          \
                               VECTOR_MASKS(VS_K) "vzeroupper" ::"r"(in),                         \
                       "r"(out), "r"(word)                                                        \
                       : "rax", "rcx", "r11", VECTOR_CLOBBERS);                                   \
    else if ((width) == VECTOR_AVX)                                                               \
      __asm__ volatile(VECTOR_16(VL_YMM) code VECTOR_16(VS_YMM) "vzeroupper" ::"r"(in), "r"(out), \
                       "r"(word)                                                                  \
                       : "rax", "rcx", "r11", VECTOR_CLOBBERS);                                   \
    else                                                                                          \
      __asm__ volatile(VECTOR_16(VL_XMM) code VECTOR_16(VS_XMM)::"r"(in), "r"(out), "r"(word)     \
                       : "rax", "rcx", "r11", VECTOR_CLOBBERS);                                   \
  } while (0)
/* Waits without system calls until the word is not zero. */
#define VECTOR_SPIN "1: pause\n\tcmpl $0, (%2)\n\tje 1b\n\t"
/* getppid */
#define VECTOR_SYSCALL "movl $110, %%eax\n\tsyscall\n\t"
#endif
