/* SPDX-License-Identifier: GPL-2.0 */
/* kernel/locking/qspinlock_paravirt.h asks for this file; the generic __pv_queued_spin_unlock() serves. */
#ifndef _ASM_PANDO_QSPINLOCK_PARAVIRT_H
#define _ASM_PANDO_QSPINLOCK_PARAVIRT_H

void __pv_queued_spin_unlock_slowpath(struct qspinlock *lock, u8 locked);

#endif
