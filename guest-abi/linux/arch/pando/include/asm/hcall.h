/* SPDX-License-Identifier: GPL-2.0 */
/* Hypercalls: the guest's only way out.  Numbers and arguments: guest_abi/hypercall.h. */
#ifndef _ASM_PANDO_HCALL_H
#define _ASM_PANDO_HCALL_H

#include <linux/irqflags.h>
#include <guest_abi/hypercall.h>

/* Interrupts must be off. */
long __pando_hcall(long nr, long a, long b, long c, long d, long e);

static __always_inline long pando_hcall(long nr, long a, long b, long c, long d, long e)
{
	unsigned long flags = arch_local_irq_save();
	long ret = __pando_hcall(nr, a, b, c, d, e);

	arch_local_irq_restore(flags);
	return ret;
}

#define hcall0(n)		pando_hcall(n, 0, 0, 0, 0, 0)
#define hcall1(n, a)		pando_hcall(n, (long)(a), 0, 0, 0, 0)
#define hcall2(n, a, b)		pando_hcall(n, (long)(a), (long)(b), 0, 0, 0)
#define hcall3(n, a, b, c)	pando_hcall(n, (long)(a), (long)(b), (long)(c), 0, 0)
#define hcall4(n, a, b, c, d)	pando_hcall(n, (long)(a), (long)(b), (long)(c), (long)(d), 0)
#define hcall5(n, a, b, c, d, e) \
	pando_hcall(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e))

#endif
