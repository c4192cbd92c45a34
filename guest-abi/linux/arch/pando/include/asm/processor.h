/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_PANDO_PROCESSOR_H
#define _ASM_PANDO_PROCESSOR_H

#include <guest_abi/layout.h>

#ifndef __ASSEMBLY__
#include <linux/types.h>
#include <asm/ptrace.h>

#define TASK_SIZE		PANDO_USER_TOP
#define TASK_UNMAPPED_BASE	PAGE_ALIGN(TASK_SIZE / 3)
#define STACK_TOP		TASK_SIZE
#define STACK_TOP_MAX		TASK_SIZE

/*
 * Nodes share memory by pages, and a CPU writes to its task and address space all the time: two that work on
 * different nodes must not share a page.
 */
#define ARCH_MIN_TASKALIGN	PAGE_SIZE
#define ARCH_MIN_MMSTRUCT_ALIGN	PAGE_SIZE

struct thread_struct {
	unsigned long sp;		/* kernel stack while switched out */
	unsigned long fs, gs;		/* user segment bases */
	unsigned long cr2, error_code, trap_nr;	/* last user exception, for signal frames */
	u8 *fpu;			/* xsave image, asm/fpu.h; NULL in kernel threads */
};
#define INIT_THREAD { .sp = 0 }

struct task_struct;
#define task_pt_regs(t) ((struct pt_regs *)((unsigned long)task_stack_page(t) + THREAD_SIZE) - 1)
#define KSTK_EIP(t)	(task_pt_regs(t)->ip)
#define KSTK_ESP(t)	(task_pt_regs(t)->sp)

void start_thread(struct pt_regs *regs, unsigned long ip, unsigned long sp);
unsigned long arch_align_stack(unsigned long sp);
unsigned long __get_wchan(struct task_struct *p);

static __always_inline void cpu_relax(void)
{
	asm volatile("rep; nop" ::: "memory");
}

static inline void prefetch(const void *x)
{
	__builtin_prefetch(x);
}

static inline void prefetchw(const void *x)
{
	__builtin_prefetch(x, 1);
}
#define ARCH_HAS_PREFETCH
#define ARCH_HAS_PREFETCHW

extern unsigned long pando_hwcap, pando_hwcap2;
#endif
#endif
