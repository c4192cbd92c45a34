/* SPDX-License-Identifier: MIT */
/*
 * Guest ABI: running user code (PANDO_HC_RUN_USER).
 *
 * regs points to a struct pt_regs of x86-64 (21 words: r15 r14 r13 r12 bp bx r11 r10 r9 r8 ax cx dx si di orig_ax ip
 * cs flags sp ss), fpu to an xsave image in signal-frame layout of boot.fpu_bytes, both in guest RAM.
 *
 *   off  size  dir    field
 *     0     8  IN     regs
 *     8     8  IN     fpu
 *    16     8  INOUT  fs_base
 *    24     8  INOUT  gs_base
 *    32     8  OUT    address    PANDO_EXIT_FAULT: faulting address (cr2)
 *    40     8  OUT    error      PANDO_EXIT_FAULT, _TRAP: x86 error code
 *    48     8  OUT    trap       PANDO_EXIT_TRAP: x86 trap number
 *    56     4  OUT    signal     PANDO_EXIT_TRAP: signal number that Linux sends for this trap
 *    60     4  OUT    code       PANDO_EXIT_TRAP: si_code
 *
 * History: version 1, first.
 */
#ifndef GUEST_ABI_USER_H
#define GUEST_ABI_USER_H

#include "vcpu.h"

/* Return values of PANDO_HC_RUN_USER. */
#define PANDO_EXIT_SYSCALL	0	/* regs->ip is behind the syscall instruction, regs->ax = number */
#define PANDO_EXIT_FAULT	1	/* page fault */
#define PANDO_EXIT_INTERRUPT	2	/* something is pending for this vCPU, or nothing at all: look and run again */
#define PANDO_EXIT_TRAP		3	/* any other exception */

#ifndef __ASSEMBLY__
struct pando_user {
	pando_u64 regs;
	pando_u64 fpu;
	pando_u64 fs_base;
	pando_u64 gs_base;
	pando_u64 address;
	pando_u64 error;
	pando_u64 trap;
	pando_u32 signal;
	pando_u32 code;
};
#endif

#endif
