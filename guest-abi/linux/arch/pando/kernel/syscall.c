// SPDX-License-Identifier: GPL-2.0
/* The system call table, and the calls that x86 has on its own. */
#include <linux/compat.h>
#include <linux/linkage.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/syscalls.h>
#include <linux/uaccess.h>
#include <asm/fpu.h>
#include <asm/syscall.h>
#include <asm/unistd.h>
#include <uapi/asm/prctl.h>

SYSCALL_DEFINE6(mmap, unsigned long, addr, unsigned long, len, unsigned long, prot,
		unsigned long, flags, unsigned long, fd, unsigned long, off)
{
	if (off & ~PAGE_MASK)
		return -EINVAL;
	return ksys_mmap_pgoff(addr, len, prot, flags, fd, off >> PAGE_SHIFT);
}

/* All features that the image has room for are permitted from the start; there are no dynamic ones. */
static long xcomp_permission(int option, unsigned long arg)
{
	if (option == ARCH_REQ_XCOMP_PERM) {
		if (arg >= 64)
			return -EINVAL;
		return pando_xfeatures() & BIT(arg) ? 0 : -EOPNOTSUPP;
	}
	return put_user(pando_xfeatures(), (u64 __user *)arg);
}

SYSCALL_DEFINE2(arch_prctl, int, option, unsigned long, arg)
{
	switch (option) {
	case ARCH_SET_FS:
	case ARCH_SET_GS:
		if (arg >= TASK_SIZE)
			return -EPERM;
		*(option == ARCH_SET_FS ? &current->thread.fs : &current->thread.gs) = arg;
		return 0;
	case ARCH_GET_FS:
		return put_user(current->thread.fs, (unsigned long __user *)arg);
	case ARCH_GET_GS:
		return put_user(current->thread.gs, (unsigned long __user *)arg);
	case ARCH_GET_CPUID:
		return 1;
	case ARCH_SET_CPUID:
		return -ENODEV;
	case ARCH_GET_XCOMP_SUPP:
	case ARCH_GET_XCOMP_PERM:
	case ARCH_REQ_XCOMP_PERM:
		return xcomp_permission(option, arg);
	default:
		return -EINVAL;
	}
}

SYSCALL_DEFINE1(iopl, unsigned int, level)
{
	return level ? -EPERM : 0;
}

SYSCALL_DEFINE3(ioperm, unsigned long, from, unsigned long, num, int, on)
{
	return -EPERM;
}

/* No segments but the flat ones. */
SYSCALL_DEFINE3(modify_ldt, int, func, void __user *, ptr, unsigned long, bytes)
{
	return -ENOSYS;
}

asmlinkage long sys_rt_sigreturn(void);

#define __SYSCALL_NORETURN __SYSCALL
#define __SYSCALL(nr, call) [nr] = (sys_call_ptr_t)(void *)(call),
const sys_call_ptr_t sys_call_table[__NR_syscalls] = {
	[0 ... __NR_syscalls - 1] = (sys_call_ptr_t)(void *)sys_ni_syscall,
#include <asm/syscall_table_64.h>
};
