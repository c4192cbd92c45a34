// SPDX-License-Identifier: GPL-2.0
/* Interrupts: bits of the vCPU block's `pending`. */
#include <linux/entry-common.h>
#include <linux/hardirq.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/kernel_stat.h>
#include <linux/seq_file.h>
#include <asm/hcall.h>
#include <asm/irq_regs.h>
#include "pando.h"

/* Counts of the vectors that are no Linux interrupts, for /proc/interrupts. */
static DEFINE_PER_CPU(unsigned int [PANDO_VEC_FIRST_IRQ], vector_count);

static const char * const vector_name[PANDO_VEC_FIRST_IRQ] = {
	[PANDO_VEC_TIMER]	= "Timer",
	[PANDO_VEC_RESCHEDULE]	= "Rescheduling",
	[PANDO_VEC_CALL]	= "Function call",
	[PANDO_VEC_IRQ_WORK]	= "IRQ work",
	[PANDO_VEC_STOP]	= "Stop",
};

static __always_inline unsigned long take_pending(void)
{
	unsigned long bits = 0;

	asm volatile("xchgq %0,%%gs:" __stringify(PANDO_VB_PENDING) : "+r" (bits) :: "memory");
	return bits;
}

static void deliver(int vector)
{
	if (vector >= PANDO_VEC_FIRST_IRQ) {
		generic_handle_irq(vector);
		return;
	}
	__this_cpu_inc(vector_count[vector]);
	if (vector == PANDO_VEC_TIMER)
		pando_timer_interrupt();
	else
		pando_smp_ipi(vector);
}

/* Entered with interrupts off, from kernel or user context. */
void noinstr pando_do_irq(struct pt_regs *regs)
{
	irqentry_state_t state = irqentry_enter(regs);
	struct pt_regs *old;
	unsigned long bits;
	int vector;

	instrumentation_begin();
	irq_enter_rcu();
	old = set_irq_regs(regs);
	while ((bits = take_pending()))
		for_each_set_bit(vector, &bits, PANDO_VEC_MAX)
			deliver(vector);
	set_irq_regs(old);
	irq_exit_rcu();
	instrumentation_end();
	irqentry_exit(regs, state);
}

static void no_op(struct irq_data *d)
{
}

static struct irq_chip pando_chip = {
	.name = "pando",
	.irq_mask = no_op,
	.irq_unmask = no_op,
	.irq_ack = no_op,
};

void __init init_IRQ(void)
{
	int irq;

	BUILD_BUG_ON(NR_IRQS < PANDO_VEC_MAX);
	for (irq = PANDO_VEC_FIRST_IRQ; irq < PANDO_VEC_MAX; irq++)
		irq_set_chip_and_handler(irq, &pando_chip, handle_edge_irq);
}

int arch_show_interrupts(struct seq_file *p, int prec)
{
	int vector, cpu;

	for (vector = 0; vector < PANDO_VEC_FIRST_IRQ; vector++) {
		if (!vector_name[vector])
			continue;
		seq_printf(p, "%*s%d: ", prec - 1, "V", vector);
		for_each_online_cpu(cpu)
			seq_printf(p, "%10u ", per_cpu(vector_count[vector], cpu));
		seq_printf(p, " %s interrupts\n", vector_name[vector]);
	}
	return 0;
}
