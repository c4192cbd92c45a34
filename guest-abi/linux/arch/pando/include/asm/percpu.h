/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_PANDO_PERCPU_H
#define _ASM_PANDO_PERCPU_H
#ifdef CONFIG_SMP
#include <linux/stringify.h>
#include <guest_abi/vcpu.h>
static __always_inline unsigned long __pando_my_cpu_offset(void)
{
	unsigned long o;

	asm volatile("movq %%gs:" __stringify(PANDO_VB_PERCPU_OFFSET) ",%0" : "=r" (o));
	return o;
}
#define __my_cpu_offset __pando_my_cpu_offset()
#endif
#include <asm-generic/percpu.h>
#endif
