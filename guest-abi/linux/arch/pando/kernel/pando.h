/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of the port share with each other alone. */
#ifndef PANDO_H
#define PANDO_H

#include <linux/linkage.h>
#include <linux/types.h>
#include <asm/ptrace.h>
#include <asm/syscall.h>
#include <guest_abi/user.h>

struct task_struct;

/* entry.S */
extern char pando_irq_entry[], pando_trap_entry[], pando_ret_from_fork[], pando_start_secondary[];

/* irq.c, traps.c */
void pando_do_irq(struct pt_regs *regs);
void pando_do_trap(struct pt_regs *regs, unsigned long nr, unsigned long err, unsigned long addr);
void pando_user_fault(struct pt_regs *regs, unsigned long addr, unsigned long err);
void pando_user_trap(struct pt_regs *regs, struct pando_user *u);

/* mm/fault.c, mm/numa.c */
void do_user_fault(struct pt_regs *regs, unsigned long addr, unsigned long err);
bool pando_vmalloc_fault(unsigned long addr, bool write);
void pando_numa_init(void);
void pando_hide_distances(void);

/* process.c */
asmlinkage void __noreturn pando_task_start(struct task_struct *prev, int (*fn)(void *), void *arg);

/* lock.c */
void pando_lock_init(void);

/* console.c, power.c, smp.c, time.c, cpuinfo.c, sysfs.c */
void pando_early_console(void);
void __noreturn pando_power(long kind, long code);
void pando_smp_ipi(int vector);
void pando_stop_this_cpu(void);
void pando_timer_interrupt(void);
void pando_timer_setup(void);
void pando_cpuinfo_store(void);
extern u8 pando_exit_status;

#endif
