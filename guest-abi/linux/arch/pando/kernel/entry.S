/* SPDX-License-Identifier: GPL-2.0 */
#include <linux/elfnote.h>
#include <linux/linkage.h>
#include <linux/init.h>
#include <linux/cfi_types.h>
#include <asm/asm-offsets.h>
#include <asm/thread_info.h>
#include <asm/ptrace.h>
#include <guest_abi/layout.h>
#include <guest_abi/vcpu.h>

/* By this the VMM knows a guest kernel of its own ABI version before it starts it. */
ELFNOTE(Pando, 1, .long PANDO_ABI_VERSION)

/*
 * Boot: the monitor jumps here on its own stack, interrupts off, %rdi = the
 * boot block (guest virtual).
 */
	__HEAD
SYM_CODE_START(pando_start)
	leaq	init_task(%rip), %rax
	movq	%rax, %gs:PANDO_VB_CURRENT
	movq	TASK_stack(%rax), %rsp
	addq	$(THREAD_SIZE - PT_SIZE - 8), %rsp
	andq	$-16, %rsp
	xorl	%ebp, %ebp
	xorl	%ebx, %ebx
	xorl	%r12d, %r12d
	xorl	%r13d, %r13d
	xorl	%r14d, %r14d
	xorl	%r15d, %r15d
	call	pando_start_kernel
	ud2
SYM_CODE_END(pando_start)

	.text
/* Secondary: %rdi = idle task */
SYM_CODE_START(pando_start_secondary)
	movq	%rdi, %gs:PANDO_VB_CURRENT
	movq	TASK_stack(%rdi), %rsp
	addq	$(THREAD_SIZE - PT_SIZE - 8), %rsp
	andq	$-16, %rsp
	xorl	%ebp, %ebp
	xorl	%ebx, %ebx
	xorl	%r12d, %r12d
	xorl	%r13d, %r13d
	xorl	%r14d, %r14d
	xorl	%r15d, %r15d
	call	start_secondary
	ud2
SYM_CODE_END(pando_start_secondary)

/* long __pando_hcall(nr, a, b, c, d, e): on the host's stack, interrupts off */
SYM_FUNC_START(__pando_hcall)
	pushq	%rbp
	movq	%rsp, %rbp
	movq	%gs:PANDO_VB_HOST_SP, %rsp
	call	*%gs:PANDO_VB_HYPERCALL
	movq	%rbp, %rsp
	popq	%rbp
	/* nothing of the host's may end up in a frame in guest RAM */
	xorl	%ecx, %ecx
	xorl	%edx, %edx
	xorl	%esi, %esi
	xorl	%edi, %edi
	xorl	%r8d, %r8d
	xorl	%r9d, %r9d
	xorl	%r10d, %r10d
	xorl	%r11d, %r11d
	RET
SYM_FUNC_END(__pando_hcall)

/*
 * The monitor has built a pt_regs at %rsp (16-byte aligned) on the interrupted
 * stack, cleared the interrupt flag and points here.
 */
SYM_CODE_START(pando_irq_entry)
	cld
	movq	%rsp, %rdi
	leaq	1(%rsp), %rbp		/* marks the frame for stacktrace.c */
	call	pando_do_irq
	jmp	pando_restore
SYM_CODE_END(pando_irq_entry)

/* as above; %rsi trap number, %rdx error code, %rcx address */
SYM_CODE_START(pando_trap_entry)
	cld
	movq	%rsp, %rdi
	leaq	1(%rsp), %rbp
	call	pando_do_trap
	jmp	pando_restore
SYM_CODE_END(pando_trap_entry)

SYM_CODE_START_LOCAL(pando_restore)
	testl	$X86_EFLAGS_IF, PT_flags(%rsp)
	jz	1f
	movb	$1, %gs:PANDO_VB_IRQ_ON
	cmpq	$0, %gs:PANDO_VB_PENDING
	je	1f
	movb	$0, %gs:PANDO_VB_IRQ_ON
	jmp	pando_irq_entry
1:	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rax
	popq	%rcx
	popq	%rdx
	popq	%rsi
	popq	%rdi
	addq	$8, %rsp
	iretq				/* same level: allowed in user mode */
SYM_CODE_END(pando_restore)

/*
 * Called where interrupts were just enabled while some were pending: makes
 * the caller look interrupted.  Only %rax may be lost.
 */
SYM_CODE_START(pando_irq_replay)
	movb	$0, %gs:PANDO_VB_IRQ_ON
	leaq	8(%rsp), %rax
	andq	$-16, %rsp
	subq	$8, %rsp
	pushq	$PANDO_SS
	pushq	%rax
	pushfq
	orq	$X86_EFLAGS_IF, (%rsp)
	pushq	$(PANDO_CS | PANDO_FRAME_KERNEL)
	pushq	-8(%rax)
	pushq	$-1
	pushq	%rdi
	pushq	%rsi
	pushq	%rdx
	pushq	%rcx
	pushq	%rax
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	jmp	pando_irq_entry
SYM_CODE_END(pando_irq_replay)

/* struct task_struct *__switch_to(prev, next); interrupts are off */
SYM_FUNC_START(__switch_to)
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, TASK_thread_sp(%rdi)
	movq	TASK_thread_sp(%rsi), %rsp
	movq	%rsi, %gs:PANDO_VB_CURRENT
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	movq	%rdi, %rax
	RET
SYM_FUNC_END(__switch_to)

/* first switch to a new task: %rax = prev, %rbx = function or 0, %r12 = argument */
SYM_CODE_START(pando_ret_from_fork)
	movq	%rax, %rdi
	movq	%rbx, %rsi
	movq	%r12, %rdx
	xorl	%ebp, %ebp
	call	pando_task_start
	ud2
SYM_CODE_END(pando_ret_from_fork)

/* long pando_nofault_copy(to, from, n) */
SYM_FUNC_START(pando_nofault_copy)
	movq	%rdx, %rcx
	xorl	%eax, %eax
1:	rep movsb
	RET
2:	movq	$-14, %rax
	RET
	.pushsection __ex_table, "a"
	.balign 8
	.quad	1b, 2b
	.popsection
SYM_FUNC_END(pando_nofault_copy)
	.section .note.GNU-stack,"",@progbits
