// SPDX-License-Identifier: GPL-2.0
/* How the waiters of a spinlock sleep, and are woken by the one that unlocks it (asm/qspinlock.h). */
#include <linux/cache.h>
#include <linux/init.h>
#include <linux/smp.h>
#include <linux/spinlock.h>
#include <asm/hcall.h>
#include "pando.h"

/* Set before there is a second CPU, so that a lock is taken and given back the same way. */
bool pando_sleeping_locks __ro_after_init;

/*
 * A kick is remembered by the monitor until the next wait: one that comes between the look at *ptr and the sleep is
 * not lost.  Interrupts that the caller has enabled end the sleep, others wait.
 */
void pv_wait(u8 *ptr, u8 val)
{
	unsigned long flags = arch_local_irq_save();

	if (READ_ONCE(*ptr) == val)
		__pando_hcall(PANDO_HC_LOCK_WAIT, !arch_irqs_disabled_flags(flags), 0, 0, 0, 0);
	arch_local_irq_restore(flags);
}

void pv_kick(int cpu)
{
	hcall1(PANDO_HC_LOCK_KICK, cpu);
}

void __init pando_lock_init(void)
{
	if (nopvspin || num_possible_cpus() < 2)
		return;
	__pv_init_lock_hash();
	pando_sleeping_locks = true;
}
