/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_PANDO_SMP_H
#define _ASM_PANDO_SMP_H
#ifdef CONFIG_SMP
#include <linux/cpumask.h>
#include <linux/stringify.h>
#include <guest_abi/vcpu.h>
static __always_inline int __pando_cpu(void)
{
	int c;

	asm volatile("movl %%gs:" __stringify(PANDO_VB_CPU) ",%0" : "=r" (c));
	return c;
}
#define raw_smp_processor_id() __pando_cpu()
void arch_send_call_function_single_ipi(int cpu);
void arch_send_call_function_ipi_mask(const struct cpumask *mask);
void pando_ipi(int vec);
#endif
#endif
