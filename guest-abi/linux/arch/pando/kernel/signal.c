// SPDX-License-Identifier: GPL-2.0
/* x86-64 signal frames. */
#include <uapi/asm/sigcontext.h>
#include <linux/entry-common.h>
#include <linux/ptrace.h>
#include <linux/sched/task_stack.h>
#include <linux/signal.h>
#include <linux/syscalls.h>
#include <linux/uaccess.h>
#include <asm/fpu.h>
#include <asm/processor.h>
#include <asm/ptrace.h>
#include <asm/sigcontext.h>
#include <asm/ucontext.h>
#include <uapi/asm/ucontext.h>
#include "pando.h"

struct rt_sigframe {
	char __user *pretcode;
	struct ucontext uc;
	struct siginfo info;
};

#define RED_ZONE	128
#define FPU_ALIGN	64
#define SYSCALL_BYTES	2	/* length of the syscall instruction */

/* Flags that a signal handler may set for the code it returns to. */
#define FIX_EFLAGS (X86_EFLAGS_AC | X86_EFLAGS_OF | X86_EFLAGS_DF | X86_EFLAGS_TF | X86_EFLAGS_SF | \
		    X86_EFLAGS_ZF | X86_EFLAGS_AF | X86_EFLAGS_PF | X86_EFLAGS_CF | X86_EFLAGS_RF)

#define UC_FLAGS (UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS)

/* For AT_MINSIGSTKSZ: the biggest frame, with all alignment. */
unsigned long pando_sigframe_bytes(void)
{
	return sizeof(struct rt_sigframe) + pando_fpu_bytes() + FPU_ALIGN + 16 + 8;
}

static void fill_sigcontext(struct sigcontext *sc, const struct pt_regs *r, unsigned long fpstate)
{
	*sc = (struct sigcontext) {
		.r8 = r->r8, .r9 = r->r9, .r10 = r->r10, .r11 = r->r11,
		.r12 = r->r12, .r13 = r->r13, .r14 = r->r14, .r15 = r->r15,
		.di = r->di, .si = r->si, .bp = r->bp, .bx = r->bx,
		.dx = r->dx, .ax = r->ax, .cx = r->cx, .sp = r->sp,
		.ip = r->ip, .flags = r->flags, .cs = PANDO_CS, .ss = PANDO_SS,
		.err = current->thread.error_code,
		.trapno = current->thread.trap_nr,
		.cr2 = current->thread.cr2,
		.oldmask = sigmask_to_save()->sig[0],
		.fpstate = fpstate,
	};
}

static void restore_regs(struct pt_regs *r, const struct sigcontext *sc)
{
	r->r8 = sc->r8;
	r->r9 = sc->r9;
	r->r10 = sc->r10;
	r->r11 = sc->r11;
	r->r12 = sc->r12;
	r->r13 = sc->r13;
	r->r14 = sc->r14;
	r->r15 = sc->r15;
	r->di = sc->di;
	r->si = sc->si;
	r->bp = sc->bp;
	r->bx = sc->bx;
	r->dx = sc->dx;
	r->ax = sc->ax;
	r->cx = sc->cx;
	r->sp = sc->sp;
	r->ip = sc->ip;
	r->flags = (r->flags & ~FIX_EFLAGS) | (sc->flags & FIX_EFLAGS);
	r->orig_ax = -1;
}

static int write_frame(struct rt_sigframe __user *f, unsigned long fp, struct ksignal *ks,
		       const struct pt_regs *r)
{
	struct sigcontext sc;
	int err;

	fill_sigcontext(&sc, r, fp);
	err = fpu_save_to_user((void __user *)fp);
	err |= __put_user(UC_FLAGS, &f->uc.uc_flags);
	err |= __put_user(NULL, &f->uc.uc_link);
	err |= __save_altstack(&f->uc.uc_stack, r->sp);
	err |= __put_user(ks->ka.sa.sa_restorer, (void __user * __user *)&f->pretcode);
	err |= __copy_to_user(&f->uc.uc_mcontext, &sc, sizeof(sc)) ? -EFAULT : 0;
	err |= __copy_to_user(&f->uc.uc_sigmask, sigmask_to_save(), sizeof(sigset_t)) ? -EFAULT : 0;
	if (ks->ka.sa.sa_flags & SA_SIGINFO)
		err |= copy_siginfo_to_user(&f->info, &ks->info);
	return err;
}

static int setup_frame(struct ksignal *ks, struct pt_regs *r)
{
	struct rt_sigframe __user *f;
	unsigned long sp = r->sp, fp;
	bool on_altstack;

	if (!(ks->ka.sa.sa_flags & SA_RESTORER))
		return -EFAULT;
	on_altstack = on_sig_stack(sp);
	sp = sigsp(sp - RED_ZONE, ks);
	fp = round_down(sp - pando_fpu_bytes(), FPU_ALIGN);
	f = (void __user *)(round_down(fp - sizeof(*f), 16) - 8);
	/* An alternate stack that is left at its lower end is an overflow, not a frame. */
	if (on_altstack && !__on_sig_stack((unsigned long)f))
		return -EFAULT;
	if (!access_ok(f, sp - (unsigned long)f) || write_frame(f, fp, ks, r))
		return -EFAULT;

	r->di = ks->sig;
	r->ax = 0;
	r->si = (unsigned long)&f->info;
	r->dx = (unsigned long)&f->uc;
	r->ip = (unsigned long)ks->ka.sa.sa_handler;
	r->sp = (unsigned long)f;
	r->flags &= ~(X86_EFLAGS_DF | X86_EFLAGS_RF | X86_EFLAGS_TF);
	return 0;
}

SYSCALL_DEFINE0(rt_sigreturn)
{
	struct pt_regs *r = current_pt_regs();
	struct rt_sigframe __user *f = (void __user *)(r->sp - sizeof(f->pretcode));
	struct sigcontext sc;
	sigset_t set;

	current->restart_block.fn = do_no_restart_syscall;
	if (copy_from_user(&set, &f->uc.uc_sigmask, sizeof(set)) ||
	    copy_from_user(&sc, &f->uc.uc_mcontext, sizeof(sc)))
		goto bad;
	set_current_blocked(&set);
	/* First, as on other x86: the handler of a bad frame's SIGSEGV returns to what was interrupted. */
	restore_regs(r, &sc);
	if (!sc.fpstate) {
		fpu_reset(current);
	} else if (fpu_restore_from_user((void __user *)sc.fpstate)) {
		fpu_reset(current);
		goto bad;
	}
	if (restore_altstack(&f->uc.uc_stack))
		goto bad;
	return r->ax;
bad:
	force_sig(SIGSEGV);
	return 0;
}

static bool in_syscall(const struct pt_regs *r)
{
	return (int)r->orig_ax != -1;
}

static void restart_syscall_of(struct pt_regs *r, unsigned long nr)
{
	r->ax = nr;
	r->ip -= SYSCALL_BYTES;
}

static void restart_before_handler(const struct ksignal *ks, struct pt_regs *r)
{
	switch ((long)r->ax) {
	case -ERESTART_RESTARTBLOCK:
	case -ERESTARTNOHAND:
		r->ax = -EINTR;
		break;
	case -ERESTARTSYS:
		if (!(ks->ka.sa.sa_flags & SA_RESTART)) {
			r->ax = -EINTR;
			break;
		}
		fallthrough;
	case -ERESTARTNOINTR:
		restart_syscall_of(r, r->orig_ax);
	}
}

static void restart_without_handler(struct pt_regs *r)
{
	switch ((long)r->ax) {
	case -ERESTARTNOHAND:
	case -ERESTARTSYS:
	case -ERESTARTNOINTR:
		restart_syscall_of(r, r->orig_ax);
		break;
	case -ERESTART_RESTARTBLOCK:
		restart_syscall_of(r, __NR_restart_syscall);
	}
}

void arch_do_signal_or_restart(struct pt_regs *r)
{
	bool stepping;
	struct ksignal ks;

	if (!get_signal(&ks)) {
		if (in_syscall(r))
			restart_without_handler(r);
		restore_saved_sigmask();
		return;
	}
	if (in_syscall(r))
		restart_before_handler(&ks, r);
	/* The frame must not have our own trap flag; the tracer is told instead, and decides anew. */
	stepping = test_thread_flag(TIF_SINGLESTEP);
	if (stepping)
		user_disable_single_step(current);
	signal_setup_done(setup_frame(&ks, r), &ks, stepping);
}
