/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_PANDO_PTRACE_H
#define _ASM_PANDO_PTRACE_H

#include <uapi/asm/ptrace.h>
#include <guest_abi/vcpu.h>

#ifndef __ASSEMBLY__
#include <linux/types.h>

/* x86-64's order: what core dumps, ptrace and PANDO_HC_RUN_USER expect. */
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8;
	unsigned long ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};

/* Kernel frames carry PANDO_FRAME_KERNEL in cs. */
#define user_mode(regs)			((regs)->cs == PANDO_CS)
#define instruction_pointer(regs)	((regs)->ip)
#define user_stack_pointer(regs)	((regs)->sp)
#define kernel_stack_pointer(regs)	((regs)->sp)
#define profile_pc(regs)		instruction_pointer(regs)
#define frame_pointer(regs)		((regs)->bp)

static inline void instruction_pointer_set(struct pt_regs *regs, unsigned long ip)
{
	regs->ip = ip;
}

static inline void user_stack_pointer_set(struct pt_regs *regs, unsigned long sp)
{
	regs->sp = sp;
}

static inline long regs_return_value(struct pt_regs *regs)
{
	return regs->ax;
}

static inline void regs_set_return_value(struct pt_regs *regs, unsigned long value)
{
	regs->ax = value;
}

static inline int regs_irqs_disabled(struct pt_regs *regs)
{
	return !(regs->flags & X86_EFLAGS_IF);
}

#define current_user_stack_pointer()	current_pt_regs()->sp

#define arch_has_single_step()		(1)
#endif
#endif
