// SPDX-License-Identifier: GPL-2.0
/*
 * Stack traces by frame pointers.  entry.S marks an exception frame by putting its address + 1 into %rbp, so a walk
 * goes through interrupts and traps.
 */
#include <linux/kallsyms.h>
#include <linux/kernel.h>
#include <linux/sched.h>
#include <linux/sched/debug.h>
#include <linux/sched/task_stack.h>
#include <linux/stacktrace.h>
#include <asm/processor.h>
#include <asm/ptrace.h>

#define FRAMES_MAX	64

/* What __switch_to() leaves on the stack of a task that does not run. */
struct switch_frame {
	unsigned long r15, r14, r13, r12, bx, bp, ip;
};

static bool on_stack(struct task_struct *t, unsigned long addr, unsigned long bytes)
{
	unsigned long base = (unsigned long)task_stack_page(t);

	return !(addr & 7) && addr >= base && addr + bytes <= base + THREAD_SIZE;
}

static bool emit(stack_trace_consume_fn consume, void *cookie, unsigned long ip)
{
	return __kernel_text_address(ip) && consume(cookie, ip);
}

/* Follows frames from bp on; the instruction pointer that led there has been reported. */
static void walk(stack_trace_consume_fn consume, void *cookie, struct task_struct *t,
		 unsigned long bp)
{
	unsigned long last = 0;
	int n;

	for (n = 0; n < FRAMES_MAX; n++) {
		unsigned long addr = bp & ~1UL;
		unsigned long ip;

		/* frames lie higher and higher: no loops */
		if (addr <= last)
			return;
		last = addr;
		if (bp & 1) {
			const struct pt_regs *regs = (const struct pt_regs *)addr;

			if (!on_stack(t, addr, sizeof(*regs)) || user_mode(regs))
				return;
			ip = regs->ip;
			bp = regs->bp;
		} else {
			const unsigned long *frame = (const unsigned long *)addr;

			if (!on_stack(t, addr, 16))
				return;
			bp = READ_ONCE_NOCHECK(frame[0]);
			ip = READ_ONCE_NOCHECK(frame[1]);
		}
		if (!emit(consume, cookie, ip))
			return;
	}
}

noinline noinstr void arch_stack_walk(stack_trace_consume_fn consume, void *cookie,
				      struct task_struct *t, struct pt_regs *regs)
{
	if (!t)
		t = current;
	if (regs) {
		if (!user_mode(regs) && emit(consume, cookie, regs->ip))
			walk(consume, cookie, t, regs->bp);
	} else if (t == current) {
		walk(consume, cookie, t, (unsigned long)__builtin_frame_address(0));
	} else if (try_get_task_stack(t)) {
		const struct switch_frame *f = (const struct switch_frame *)READ_ONCE(t->thread.sp);

		/* It may run again any moment: whatever we read, walk() stays on the stack. */
		if (on_stack(t, (unsigned long)f, sizeof(*f)) && emit(consume, cookie, f->ip))
			walk(consume, cookie, t, f->bp);
		put_task_stack(t);
	}
}

static bool print_entry(void *lvl, unsigned long ip)
{
	printk("%s [<%016lx>] %pS\n", (const char *)lvl, ip, (void *)ip);
	return true;
}

static void print_registers(const struct pt_regs *r, const char *lvl)
{
	if (user_mode(r))
		printk("%sRIP: %016lx FLAGS %lx (user)\n", lvl, r->ip, r->flags);
	else
		printk("%sRIP: %pS (%016lx) FLAGS %lx\n", lvl, (void *)r->ip, r->ip, r->flags);
	printk("%sRSP %016lx RBP %016lx RAX %016lx RBX %016lx\n", lvl, r->sp, r->bp, r->ax, r->bx);
	printk("%sRCX %016lx RDX %016lx RSI %016lx RDI %016lx\n", lvl, r->cx, r->dx, r->si, r->di);
	printk("%sR8  %016lx R9  %016lx R10 %016lx R11 %016lx\n", lvl, r->r8, r->r9, r->r10, r->r11);
	printk("%sR12 %016lx R13 %016lx R14 %016lx R15 %016lx\n", lvl, r->r12, r->r13, r->r14, r->r15);
}

/* A trace of the calling task (panic, WARN) ends with what it was doing in user mode. */
void show_stack(struct task_struct *t, unsigned long *sp, const char *lvl)
{
	printk("%sCall Trace:\n", lvl);
	arch_stack_walk(print_entry, (void *)lvl, t, NULL);
	if ((!t || t == current) && !(current->flags & PF_KTHREAD))
		print_registers(task_pt_regs(current), lvl);
}

void show_regs(struct pt_regs *r)
{
	show_regs_print_info(KERN_DEFAULT);
	print_registers(r, KERN_DEFAULT);
	if (!user_mode(r)) {
		printk("Call Trace:\n");
		arch_stack_walk(print_entry, KERN_DEFAULT, current, r);
	}
}

static bool first_outside_scheduler(void *cookie, unsigned long ip)
{
	if (in_sched_functions(ip))
		return true;
	*(unsigned long *)cookie = ip;
	return false;
}

unsigned long __get_wchan(struct task_struct *p)
{
	unsigned long ip = 0;

	arch_stack_walk(first_outside_scheduler, &ip, p, NULL);
	return ip;
}
