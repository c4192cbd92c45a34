/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_PANDO_IRQFLAGS_H
#define _ASM_PANDO_IRQFLAGS_H
#ifndef __ASSEMBLY__
#include <linux/types.h>
#include <linux/stringify.h>
#include <guest_abi/vcpu.h>

static __always_inline unsigned long arch_local_save_flags(void)
{
	unsigned int f;

	asm volatile("movzbl %%gs:" __stringify(PANDO_VB_IRQ_ON) ",%0" : "=r" (f) :: "memory");
	return f;
}

static __always_inline void arch_local_irq_disable(void)
{
	asm volatile("movb $0,%%gs:" __stringify(PANDO_VB_IRQ_ON) ::: "memory");
}

/* Delivers what came in meanwhile as an interrupt of this very place. */
static __always_inline void arch_local_irq_enable(void)
{
	asm volatile("movb $1,%%gs:" __stringify(PANDO_VB_IRQ_ON) "\n\t"
		     "cmpq $0,%%gs:" __stringify(PANDO_VB_PENDING) "\n\t"
		     "je 1f\n\t"
		     "call pando_irq_replay\n"
		     "1:" ::: "rax", "memory", "cc");
}

static __always_inline unsigned long arch_local_irq_save(void)
{
	unsigned long f = arch_local_save_flags();

	arch_local_irq_disable();
	return f;
}

static __always_inline bool arch_irqs_disabled_flags(unsigned long flags)
{
	return !flags;
}

static __always_inline void arch_local_irq_restore(unsigned long flags)
{
	if (flags)
		arch_local_irq_enable();
	else
		arch_local_irq_disable();
}

static __always_inline bool arch_irqs_disabled(void)
{
	return arch_irqs_disabled_flags(arch_local_save_flags());
}
#endif
#endif
