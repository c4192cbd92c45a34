// SPDX-License-Identifier: GPL-2.0
/* Exceptions, of user code and of the kernel's own. */
#include <linux/entry-common.h>
#include <linux/extable.h>
#include <linux/kdebug.h>
#include <linux/kernel.h>
#include <linux/sched/debug.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <asm/hcall.h>
#include <asm/trap_pf.h>
#include <asm/trapnr.h>
#include "pando.h"

int fixup_exception(struct pt_regs *regs)
{
	const struct exception_table_entry *e = search_exception_tables(regs->ip);

	if (!e)
		return 0;
	regs->ip = e->fixup;
	return 1;
}

static const char *trap_name(unsigned long nr, unsigned long addr)
{
	switch (nr) {
	case X86_TRAP_DE:
		return "divide error";
	case X86_TRAP_UD:
		return "invalid opcode";
	case X86_TRAP_GP:
		return "general protection fault";
	case X86_TRAP_PF:
		return addr < PAGE_SIZE ? "kernel NULL pointer dereference"
					: "unable to handle kernel page fault";
	default:
		return "exception";
	}
}

/* An oops is the end of the machine: what it may have broken is shared by all nodes. */
static void __noreturn die(struct pt_regs *regs, unsigned long nr, unsigned long err,
			   unsigned long addr)
{
	oops_enter();
	console_verbose();
	bust_spinlocks(1);
	pr_emerg("BUG: %s, address %016lx, trap %lu, error code %lx\n", trap_name(nr, addr), addr,
		 nr, err);
	show_regs(regs);
	bust_spinlocks(0);
	add_taint(TAINT_DIE, LOCKDEP_NOW_UNRELIABLE);
	panic("Fatal exception");
}

/* Exceptions of kernel code; the VMM pushed the frame. */
void noinstr pando_do_trap(struct pt_regs *regs, unsigned long nr, unsigned long err,
			   unsigned long addr)
{
	irqentry_state_t state;

	if (nr == X86_TRAP_PF && pando_vmalloc_fault(addr, err & X86_PF_WRITE))
		return;
	state = irqentry_enter(regs);
	instrumentation_begin();
	if (!fixup_exception(regs))
		die(regs, nr, err, addr);
	instrumentation_end();
	irqentry_exit(regs, state);
}

void noinstr pando_user_fault(struct pt_regs *regs, unsigned long addr, unsigned long err)
{
	irqentry_enter_from_user_mode(regs);
	instrumentation_begin();
	local_irq_enable();
	do_user_fault(regs, addr, err);
	local_irq_disable();
	instrumentation_end();
	irqentry_exit_to_user_mode(regs);
}

/* The host has already said which signal Linux sends for this trap. */
static void send_trap_signal(struct pt_regs *regs, const struct pando_user *u)
{
	int sig = u->signal;

	switch (sig) {
	case SIGTRAP:
	case SIGILL:
	case SIGFPE:
	case SIGBUS:
	case SIGSEGV:
	case SIGKILL:	/* the process that ran it is gone, by its own doing or by its host's */
		break;
	default:
		sig = SIGSEGV;
	}
	if (sig == SIGSEGV || sig == SIGKILL || u->code == (u32)SI_KERNEL)
		force_sig(sig);
	else
		force_sig_fault(sig, u->code, (void __user *)regs->ip);
}

void noinstr pando_user_trap(struct pt_regs *regs, struct pando_user *u)
{
	irqentry_enter_from_user_mode(regs);
	instrumentation_begin();
	local_irq_enable();
	current->thread.trap_nr = u->trap;
	current->thread.error_code = u->error;
	send_trap_signal(regs, u);
	local_irq_disable();
	instrumentation_end();
	irqentry_exit_to_user_mode(regs);
}

void __init trap_init(void)
{
}
