// SPDX-License-Identifier: GPL-2.0
/* Tasks: their birth, their life in user code, the idle loop. */
#include <linux/cpu.h>
#include <linux/elf.h>
#include <linux/entry-common.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/ptrace.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>
#include <asm/fpu.h>
#include <asm/hcall.h>
#include <asm/switch_to.h>
#include <asm/tlbflush.h>
#include "pando.h"
#include "placement.h"

void arch_release_task_struct(struct task_struct *t)
{
	fpu_free(t);
}

int arch_dup_task_struct(struct task_struct *dst, struct task_struct *src)
{
	*dst = *src;
	dst->thread.fpu = NULL;		/* copy_thread() makes its own */
	return 0;
}

/* What __switch_to() pops at the first switch to p: r15 r14 r13 r12 bx bp, return address. */
static void first_frame(struct task_struct *p, const struct kernel_clone_args *args)
{
	unsigned long *sp = (unsigned long *)((unsigned long)task_pt_regs(p) & ~15UL);

	*--sp = 0;
	*--sp = (unsigned long)pando_ret_from_fork;
	*--sp = 0;
	*--sp = (unsigned long)args->fn;
	*--sp = (unsigned long)args->fn_arg;
	*--sp = 0;
	*--sp = 0;
	*--sp = 0;
	p->thread.sp = (unsigned long)sp;
}

int copy_thread(struct task_struct *p, const struct kernel_clone_args *args)
{
	struct pt_regs *regs = task_pt_regs(p);

	first_frame(p, args);
	if (args->fn) {
		memset(regs, 0, sizeof(*regs));
		return 0;
	}
	*regs = *current_pt_regs();
	regs->ax = 0;
	if (args->stack)
		regs->sp = args->stack;
	p->thread.fs = args->flags & CLONE_SETTLS ? args->tls : current->thread.fs;
	p->thread.gs = current->thread.gs;
	/* A step of the parent is not one of the child's. */
	if (test_tsk_thread_flag(p, TIF_SINGLESTEP))
		user_disable_single_step(p);
	return fpu_copy(p, current);
}

/*
 * Tells the host whose address space this is: pando top shows it.  Not for threads, nor for a child that borrows its
 * parent's until exec.
 */
static void announce_mm(void)
{
	struct task_struct *me = current;
	struct mm_struct *mm = me->mm;

	if (mm && atomic_read(&mm->mm_users) == 1)
		hcall4(PANDO_HC_MM_NAME, mm->context.id, task_tgid_nr(me), me->comm, __pa(mm->pgd));
}

void start_thread(struct pt_regs *regs, unsigned long ip, unsigned long sp)
{
	memset(regs, 0, sizeof(*regs));
	regs->ip = ip;
	regs->sp = sp;
	regs->cs = PANDO_CS;
	regs->ss = PANDO_SS;
	regs->flags = X86_EFLAGS_IF;
	regs->orig_ax = -1;
	announce_mm();
}

void flush_thread(void)
{
	current->thread.fs = current->thread.gs = 0;
	fpu_reset(current);
}

static void user_syscall(struct pt_regs *regs)
{
	int nr = regs->ax;		/* as on x86: the low half counts, tracers see all */

	regs->orig_ax = regs->ax;
	regs->ax = -ENOSYS;
	nr = syscall_enter_from_user_mode(regs, nr);
	if ((unsigned int)nr < NR_syscalls) {
		pando_place_syscall(nr);
		nr = array_index_nospec(nr, NR_syscalls);
		regs->ax = sys_call_table[nr](regs->di, regs->si, regs->dx, regs->r10, regs->r8,
					      regs->r9);
	}
	syscall_exit_to_user_mode(regs);
}

static long run_user(struct pando_user *u)
{
	struct task_struct *me = current;
	long why;

	pando_tlb_catch_up(me->mm);
	u->fpu = (unsigned long)me->thread.fpu;
	u->fs_base = me->thread.fs;
	u->gs_base = me->thread.gs;
	why = __pando_hcall(PANDO_HC_RUN_USER, me->mm->context.id, (long)u, 0, 0, 0);
	me->thread.fs = u->fs_base;
	me->thread.gs = u->gs_base;
	return why;
}

/* The life of a user task: interrupts are off at the top of the loop. */
static void __noreturn user_loop(void)
{
	struct pt_regs *regs = current_pt_regs();

	for (;;) {
		struct pando_user u = { .regs = (unsigned long)regs };

		switch (run_user(&u)) {
		case PANDO_EXIT_SYSCALL:
			user_syscall(regs);
			break;
		case PANDO_EXIT_FAULT:
			regs->orig_ax = -1;
			pando_user_fault(regs, u.address, u.error);
			break;
		case PANDO_EXIT_TRAP:
			regs->orig_ax = -1;
			pando_user_trap(regs, &u);
			break;
		default:
			regs->orig_ax = -1;
			pando_do_irq(regs);
			break;
		}
	}
}

/* First C code of every task; fn returns only where a kernel thread became a program. */
asmlinkage void __noreturn pando_task_start(struct task_struct *prev, int (*fn)(void *), void *arg)
{
	schedule_tail(prev);
	if (!fn)
		announce_mm();
	if (fn)
		fn(arg);
	else if (READ_ONCE(pando_place_fork_on))
		pando_place_current(PANDO_BIRTH_FORK);
	syscall_exit_to_user_mode(current_pt_regs());
	user_loop();
}

void arch_cpu_idle(void)
{
	__pando_hcall(PANDO_HC_IDLE, 0, 0, 0, 0, 0);
	/* what woke us is delivered where the idle loop enables interrupts */
}

unsigned long arch_align_stack(unsigned long sp)
{
	if (!(current->personality & ADDR_NO_RANDOMIZE) && randomize_va_space)
		sp -= get_random_u32_below(8192);
	return sp & ~0xfUL;
}
