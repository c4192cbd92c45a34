/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Queued spinlocks whose waiters sleep after a short spin (kernel/lock.c): a virtual CPU that spins keeps a CPU of its
 * host from the one that holds the lock, and may pull the lock's page to its node again and again.
 * "nopvspin" on the command line brings back plain queued spinlocks.
 */
#ifndef _ASM_PANDO_QSPINLOCK_H
#define _ASM_PANDO_QSPINLOCK_H

#include <asm-generic/qspinlock_types.h>

#ifdef CONFIG_PARAVIRT_SPINLOCKS
#include <linux/types.h>
#include <asm/barrier.h>

/* Rounds before a waiter sleeps: about as long as sleeping and waking up takes. */
#define SPIN_THRESHOLD	(1 << 8)

extern bool pando_sleeping_locks;
extern bool nopvspin;

void __pv_init_lock_hash(void);
void __pv_queued_spin_lock_slowpath(struct qspinlock *lock, u32 val);
void __pv_queued_spin_unlock(struct qspinlock *lock);
void native_queued_spin_lock_slowpath(struct qspinlock *lock, u32 val);

/* Sleeps until pv_kick() if *ptr == val; may return for no reason. */
void pv_wait(u8 *ptr, u8 val);
void pv_kick(int cpu);

static inline void queued_spin_lock_slowpath(struct qspinlock *lock, u32 val)
{
	if (pando_sleeping_locks)
		__pv_queued_spin_lock_slowpath(lock, val);
	else
		native_queued_spin_lock_slowpath(lock, val);
}

#define queued_spin_unlock queued_spin_unlock
static inline void queued_spin_unlock(struct qspinlock *lock)
{
	if (pando_sleeping_locks)
		__pv_queued_spin_unlock(lock);
	else
		smp_store_release(&lock->locked, 0);
}
#endif

#include <asm-generic/qspinlock.h>

#endif
