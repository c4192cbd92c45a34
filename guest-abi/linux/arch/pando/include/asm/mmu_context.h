/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_PANDO_MMU_CONTEXT_H
#define _ASM_PANDO_MMU_CONTEXT_H

#include <linux/cpumask.h>
#include <linux/mm_types.h>
#include <linux/sched.h>
#include <linux/topology.h>
#include <asm/hcall.h>
#include <asm-generic/mm_hooks.h>

#define init_new_context init_new_context
int init_new_context(struct task_struct *tsk, struct mm_struct *mm);

#define destroy_context destroy_context
static inline void destroy_context(struct mm_struct *mm)
{
	if (mm->context.used_nodes)
		hcall2(PANDO_HC_MM_FREE, mm->context.id, mm->context.used_nodes);
}

/* mm_cpumask() has exactly the CPUs that have the address space loaded, lazy ones excluded: see mm/tlb.c. */
static inline void switch_mm(struct mm_struct *prev, struct mm_struct *next,
			     struct task_struct *tsk)
{
	unsigned int cpu = smp_processor_id();
	int node = numa_node_id();

	if (next == &init_mm)
		return;
	if (prev != next && prev != &init_mm && cpumask_test_cpu(cpu, mm_cpumask(prev)))
		cpumask_clear_cpu(cpu, mm_cpumask(prev));
	if (!test_bit(node, &next->context.used_nodes))
		set_bit(node, &next->context.used_nodes);
	cpumask_set_cpu(cpu, mm_cpumask(next));
}

#define enter_lazy_tlb enter_lazy_tlb
static inline void enter_lazy_tlb(struct mm_struct *mm, struct task_struct *tsk)
{
	if (mm != &init_mm)
		cpumask_clear_cpu(smp_processor_id(), mm_cpumask(mm));
}

#include <asm-generic/mmu_context.h>
#endif
