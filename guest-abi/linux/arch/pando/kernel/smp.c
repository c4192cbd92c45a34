// SPDX-License-Identifier: GPL-2.0
/* Bringing up, interrupting and stopping virtual CPUs, wherever they live. */
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/irq_work.h>
#include <linux/kallsyms.h>
#include <linux/sched/hotplug.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/sched/topology.h>
#include <linux/smp.h>
#include <asm/boot_info.h>
#include <asm/hcall.h>
#include <asm/mmu_context.h>
#include "pando.h"

#define START_TIMEOUT_S	30

static void set_percpu_offset(int cpu)
{
	unsigned long offset = per_cpu_offset(cpu);

	asm volatile("movq %0,%%gs:" __stringify(PANDO_VB_PERCPU_OFFSET) :: "r" (offset));
}

void __init smp_prepare_boot_cpu(void)
{
	set_percpu_offset(0);
	pando_lock_init();
}

static const struct cpumask *node_mask(int cpu)
{
	return cpumask_of_node(cpu_to_node(cpu));
}

static int node_flags(void)
{
	return SD_SHARE_LLC;
}

/*
 * One level, the node, whose CPUs share a cache: wake-ups look for an idle CPU there, and those of tasks on other
 * nodes are handed over with the interrupt rather than by taking the other node's run queue.
 */
static struct sched_domain_topology_level pando_topology[] = {
	{ node_mask, node_flags, SD_INIT_NAME(MC) },
	{ NULL, },
};

void __init smp_prepare_cpus(unsigned int max)
{
	set_sched_topology(pando_topology);
}

/* Next the scheduler builds its domains. */
void __init smp_cpus_done(unsigned int max)
{
	pando_hide_distances();
}

asmlinkage void start_secondary(void);
asmlinkage void start_secondary(void)
{
	int cpu = raw_smp_processor_id();

	set_percpu_offset(cpu);
	mmgrab(&init_mm);
	current->active_mm = &init_mm;
	pando_cpuinfo_store();
	notify_cpu_starting(cpu);
	pando_timer_setup();
	set_cpu_online(cpu, true);
	local_irq_enable();
	cpu_startup_entry(CPUHP_AP_ONLINE_IDLE);
}

/*
 * The timer migration hierarchy lets idle CPUs leave their timers to busy ones, and has one root for the whole machine:
 * every wake-up of one node would be booked on pages of the others.  Without it each CPU serves its own timers.
 */
static int __init pando_end_timer_migration(void)
{
	if (pando_boot.node_count > 1)
		cpuhp_remove_state(CPUHP_AP_TMIGR_ONLINE);
	return 0;
}
core_initcall(pando_end_timer_migration);

int __cpu_up(unsigned int cpu, struct task_struct *idle)
{
	u64 deadline = ktime_get_mono_fast_ns() + START_TIMEOUT_S * NSEC_PER_SEC;
	long err = hcall3(PANDO_HC_VCPU_START, cpu, pando_start_secondary, idle);

	if (err)
		return err;
	while (!cpu_online(cpu)) {
		if (ktime_get_mono_fast_ns() > deadline) {
			pr_err("CPU %u of node %d did not come up within %d s\n", cpu,
			       pando_cpu_node(cpu), START_TIMEOUT_S);
			return -ETIMEDOUT;
		}
		/* It may be on another machine: give its page fetches a chance against our polling. */
		udelay(50);
	}
	return 0;
}

void pando_smp_ipi(int vector)
{
	switch (vector) {
	case PANDO_VEC_RESCHEDULE:
		scheduler_ipi();
		break;
	case PANDO_VEC_CALL:
		generic_smp_call_function_interrupt();
		break;
	case PANDO_VEC_IRQ_WORK:
		irq_work_run();
		break;
	case PANDO_VEC_STOP:
		set_cpu_online(smp_processor_id(), false);
		for (;;)
			pando_stop_this_cpu();
	}
}

void arch_smp_send_reschedule(int cpu)
{
	hcall2(PANDO_HC_IPI, cpu, PANDO_VEC_RESCHEDULE);
}

static void __percpu *call_queues;	/* kernel/smp.c keeps them to itself */

static int __init find_call_queues(void)
{
	call_queues = (void __percpu *)kallsyms_lookup_name("call_single_queue");
	return 0;
}
core_initcall(find_call_queues);

/* Whom the CPU is to wake up first, if that is what it is called for. */
static struct task_struct *task_to_wake(struct llist_head *queue)
{
	struct llist_node *first = READ_ONCE(queue->first);
	struct __call_single_node *call = (struct __call_single_node *)first;

	if (!first || (READ_ONCE(call->u_flags) & CSD_FLAG_TYPE_MASK) != CSD_TYPE_TTWU)
		return NULL;
	return container_of(call, struct task_struct, wake_entry);
}

/*
 * A CPU of another node begins with pages that were just written here: call queue and run queue (one page, see
 * vmlinux.lds.S), task and stack of whom it is to wake up.  Named in the interrupt, they are on their way at once, not
 * one after the other.  A guess: what is named may be out of date.
 */
void arch_send_call_function_single_ipi(int cpu)
{
	struct llist_head *queue = call_queues ? per_cpu_ptr(call_queues, cpu) : NULL;
	struct task_struct *p;

	if (!queue || cpu_to_node(cpu) == numa_node_id()) {
		hcall2(PANDO_HC_IPI, cpu, PANDO_VEC_CALL);
		return;
	}
	p = task_to_wake(queue);
	hcall5(PANDO_HC_IPI, cpu, PANDO_VEC_CALL, __pa(queue), p ? __pa(p) : 0,
	       p ? __pa(READ_ONCE(p->thread.sp)) : 0);
}

void arch_send_call_function_ipi_mask(const struct cpumask *mask)
{
	int cpu;

	for_each_cpu(cpu, mask)
		hcall2(PANDO_HC_IPI, cpu, PANDO_VEC_CALL);
}

void arch_irq_work_raise(void)
{
	hcall2(PANDO_HC_IPI, smp_processor_id(), PANDO_VEC_IRQ_WORK);
}

/* One round of doing nothing for good; what is pending for this CPU is thrown away. */
void pando_stop_this_cpu(void)
{
	unsigned long bits = 0;

	local_irq_disable();
	asm volatile("xchgq %0,%%gs:" __stringify(PANDO_VB_PENDING) : "+r" (bits) :: "memory");
	__pando_hcall(PANDO_HC_IDLE, 0, 0, 0, 0, 0);
}

void smp_send_stop(void)
{
	int cpu;

	for_each_online_cpu(cpu)
		if (cpu != raw_smp_processor_id())
			hcall2(PANDO_HC_IPI, cpu, PANDO_VEC_STOP);
}

void panic_smp_self_stop(void)
{
	for (;;)
		pando_stop_this_cpu();
}
