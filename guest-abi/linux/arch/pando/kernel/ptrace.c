// SPDX-License-Identifier: GPL-2.0
/* Registers as debuggers and core dumps see them: x86-64's layouts. */
#include <linux/elf.h>
#include <linux/elfcore.h>
#include <linux/ptrace.h>
#include <linux/regset.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/fpu.h>
#include <asm/processor.h>
#include <asm/user.h>
#include <uapi/asm/prctl.h>

#define FXSAVE_BYTES	512
#define XCR0_OFFSET	464	/* debuggers find the features of the image here */

/* Flags that a debugger may change. */
#define FLAG_MASK (X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF | X86_EFLAGS_SF | \
		   X86_EFLAGS_TF | X86_EFLAGS_DF | X86_EFLAGS_OF | X86_EFLAGS_RF | X86_EFLAGS_AC)

void user_enable_single_step(struct task_struct *t)
{
	struct pt_regs *r = task_pt_regs(t);

	set_tsk_thread_flag(t, TIF_SINGLESTEP);
	/* a step over a system call ends behind it */
	set_task_syscall_work(t, SYSCALL_EXIT_TRAP);
	if (!(r->flags & X86_EFLAGS_TF)) {
		r->flags |= X86_EFLAGS_TF;
		set_tsk_thread_flag(t, TIF_FORCED_TF);
	}
}

void user_disable_single_step(struct task_struct *t)
{
	clear_tsk_thread_flag(t, TIF_SINGLESTEP);
	clear_task_syscall_work(t, SYSCALL_EXIT_TRAP);
	if (test_and_clear_tsk_thread_flag(t, TIF_FORCED_TF))
		task_pt_regs(t)->flags &= ~X86_EFLAGS_TF;
}

void ptrace_disable(struct task_struct *child)
{
	user_disable_single_step(child);
}

static void read_regs(struct task_struct *t, struct user_regs_struct *u)
{
	BUILD_BUG_ON(offsetof(struct user_regs_struct, fs_base) != sizeof(struct pt_regs));
	BUILD_BUG_ON(sizeof(*u) != ELF_NGREG * sizeof(elf_greg_t));
	memset(u, 0, sizeof(*u));
	memcpy(u, task_pt_regs(t), sizeof(struct pt_regs));
	u->fs_base = t->thread.fs;
	u->gs_base = t->thread.gs;
	if (test_tsk_thread_flag(t, TIF_FORCED_TF))
		u->flags &= ~X86_EFLAGS_TF;
}

static int write_regs(struct task_struct *t, const struct user_regs_struct *u)
{
	struct pt_regs *r = task_pt_regs(t);
	unsigned long flags = (r->flags & ~FLAG_MASK) | (u->flags & FLAG_MASK);

	if (u->fs_base >= TASK_SIZE || u->gs_base >= TASK_SIZE)
		return -EIO;
	if (u->flags & X86_EFLAGS_TF)
		clear_tsk_thread_flag(t, TIF_FORCED_TF);
	else if (test_tsk_thread_flag(t, TIF_FORCED_TF))
		flags |= X86_EFLAGS_TF;
	memcpy(r, u, sizeof(*r));
	r->flags = flags;
	r->cs = PANDO_CS;
	r->ss = PANDO_SS;
	t->thread.fs = u->fs_base;
	t->thread.gs = u->gs_base;
	return 0;
}

static int gpr_get(struct task_struct *t, const struct user_regset *rs, struct membuf to)
{
	struct user_regs_struct u;

	read_regs(t, &u);
	return membuf_write(&to, &u, sizeof(u));
}

static int gpr_set(struct task_struct *t, const struct user_regset *rs, unsigned int pos,
		   unsigned int count, const void *kbuf, const void __user *ubuf)
{
	struct user_regs_struct u;
	int err;

	read_regs(t, &u);
	err = user_regset_copyin(&pos, &count, &kbuf, &ubuf, &u, 0, sizeof(u));
	return err ?: write_regs(t, &u);
}

static int fpr_get(struct task_struct *t, const struct user_regset *rs, struct membuf to)
{
	if (!t->thread.fpu)
		return -ENODEV;
	membuf_write(&to, t->thread.fpu, XCR0_OFFSET);
	return membuf_zero(&to, FXSAVE_BYTES - XCR0_OFFSET);
}

/* Both sets change a copy, which replaces the task's image when it has been checked. */
static int image_set(struct task_struct *t, unsigned int pos, unsigned int count,
		     const void *kbuf, const void __user *ubuf, u32 bytes)
{
	u8 *image;
	int err;

	if (!t->thread.fpu)
		return -ENODEV;
	image = kmemdup(t->thread.fpu, pando_fpu_bytes(), GFP_KERNEL);
	if (!image)
		return -ENOMEM;
	err = user_regset_copyin(&pos, &count, &kbuf, &ubuf, image, 0, bytes);
	if (!err && bytes == FXSAVE_BYTES)
		*(u64 *)(image + FXSAVE_BYTES) |= 3;	/* x87 and SSE are not initial any more */
	if (!err)
		err = fpu_check(image);
	if (!err)
		memcpy(t->thread.fpu, image, pando_xstate_bytes());
	kfree(image);
	return err;
}

static int fpr_set(struct task_struct *t, const struct user_regset *rs, unsigned int pos,
		   unsigned int count, const void *kbuf, const void __user *ubuf)
{
	return image_set(t, pos, count, kbuf, ubuf, FXSAVE_BYTES);
}

static int xstate_get(struct task_struct *t, const struct user_regset *rs, struct membuf to)
{
	u64 xcr0 = pando_xfeatures();
	const u32 rest = XCR0_OFFSET + sizeof(xcr0);

	if (!t->thread.fpu)
		return -ENODEV;
	membuf_write(&to, t->thread.fpu, XCR0_OFFSET);
	membuf_write(&to, &xcr0, sizeof(xcr0));
	membuf_zero(&to, FXSAVE_BYTES - rest);
	return membuf_write(&to, t->thread.fpu + FXSAVE_BYTES, pando_xstate_bytes() - FXSAVE_BYTES);
}

static int xstate_set(struct task_struct *t, const struct user_regset *rs, unsigned int pos,
		      unsigned int count, const void *kbuf, const void __user *ubuf)
{
	if (pos || count != pando_xstate_bytes())
		return -EFAULT;
	return image_set(t, pos, count, kbuf, ubuf, pando_xstate_bytes());
}

enum { REGSET_GENERAL, REGSET_FP, REGSET_XSTATE };

static struct user_regset regsets[] __ro_after_init = {
	[REGSET_GENERAL] = {
		.core_note_type = NT_PRSTATUS, .n = ELF_NGREG, .size = 8, .align = 8,
		.regset_get = gpr_get, .set = gpr_set,
	},
	[REGSET_FP] = {
		.core_note_type = NT_PRFPREG, .n = FXSAVE_BYTES / 8, .size = 8, .align = 8,
		.regset_get = fpr_get, .set = fpr_set,
	},
	[REGSET_XSTATE] = {
		.core_note_type = NT_X86_XSTATE, .size = 8, .align = 8,
		.regset_get = xstate_get, .set = xstate_set,
	},
};

static const struct user_regset_view view = {
	.name = "x86_64", .e_machine = EM_X86_64, .regsets = regsets, .n = ARRAY_SIZE(regsets),
};

static int __init regsets_setup(void)
{
	regsets[REGSET_XSTATE].n = pando_xstate_bytes() / 8;
	return 0;
}
core_initcall(regsets_setup);

const struct user_regset_view *task_user_regset_view(struct task_struct *t)
{
	return &view;
}

/* Debug registers of the host's processor are not for guests: they read as zero and refuse other values. */
static int peek_user(struct task_struct *t, unsigned long offset, unsigned long __user *to)
{
	struct user_regs_struct u;
	unsigned long value = 0;

	if (offset % sizeof(value) || offset >= sizeof(struct user))
		return -EIO;
	if (offset < sizeof(u)) {
		read_regs(t, &u);
		value = *(unsigned long *)((char *)&u + offset);
	}
	return put_user(value, to);
}

static int poke_user(struct task_struct *t, unsigned long offset, unsigned long value)
{
	struct user_regs_struct u;

	if (offset % sizeof(value) || offset >= sizeof(struct user))
		return -EIO;
	if (offset >= sizeof(u))
		return value ? -EIO : 0;
	read_regs(t, &u);
	*(unsigned long *)((char *)&u + offset) = value;
	return write_regs(t, &u);
}

static long prctl_of(struct task_struct *t, unsigned long option, unsigned long addr)
{
	switch (option) {
	case ARCH_GET_FS:
		return put_user(t->thread.fs, (unsigned long __user *)addr);
	case ARCH_GET_GS:
		return put_user(t->thread.gs, (unsigned long __user *)addr);
	case ARCH_SET_FS:
	case ARCH_SET_GS:
		if (addr >= TASK_SIZE)
			return -EPERM;
		*(option == ARCH_SET_FS ? &t->thread.fs : &t->thread.gs) = addr;
		return 0;
	default:
		return -EINVAL;
	}
}

long arch_ptrace(struct task_struct *t, long request, unsigned long addr, unsigned long data)
{
	void __user *buf = (void __user *)data;

	switch (request) {
	case PTRACE_PEEKUSR:
		return peek_user(t, addr, buf);
	case PTRACE_POKEUSR:
		return poke_user(t, addr, data);
	case PTRACE_GETREGS:
		return copy_regset_to_user(t, &view, REGSET_GENERAL, 0,
					   sizeof(struct user_regs_struct), buf);
	case PTRACE_SETREGS:
		return copy_regset_from_user(t, &view, REGSET_GENERAL, 0,
					     sizeof(struct user_regs_struct), buf);
	case PTRACE_GETFPREGS:
		return copy_regset_to_user(t, &view, REGSET_FP, 0, FXSAVE_BYTES, buf);
	case PTRACE_SETFPREGS:
		return copy_regset_from_user(t, &view, REGSET_FP, 0, FXSAVE_BYTES, buf);
	case PTRACE_ARCH_PRCTL:
		/* data is the option, addr its argument */
		return prctl_of(t, data, addr);
	default:
		return ptrace_request(t, request, addr, data);
	}
}
