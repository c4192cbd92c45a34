/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stub's code page.  Read-only data for the VMM; copied to STUB_CODE in every stub.
 *
 * User code may jump to any byte of it with any registers and with anything in the report page.  What holds all the
 * same, and why: docs/design/0002-stub-sandbox.md.  In short: each kind of system call has one syscall instruction of
 * its own (the filter compares the address), and what follows each one trusts no register that the kernel did not just
 * use: it compares the arguments with the control page, which only the VMM can write, or parks.
 *
 * No stack is used.  All signals are blocked here except when user code jumped in; then a signal's frame shows an
 * instruction pointer in this page, and the VMM kills the stub.
 */
#include "vmm/stub/stub_layout.h"

#define NR_WRITE		1
#define NR_MMAP			9
#define NR_MPROTECT		10
#define NR_MUNMAP		11
#define NR_RT_SIGRETURN		15
#define NR_IOCTL		16
#define NR_MADVISE		28
#define NR_ARCH_PRCTL		158
#define NR_FUTEX		202
#define NR_EXIT_GROUP		231
#define NR_SECCOMP		317

#define ENOMEM			12

#define CONTROL(field)	(stub_code + STUB_CONTROL - STUB_CODE + field)(%rip)
#define REPORT(field)	(stub_code + STUB_REPORT - STUB_CODE + field)(%rip)
#define STACK(offset)	(stub_code + STUB_STACK - STUB_CODE + offset)(%rip)

	.section .rodata.stub_code, "a", @progbits
	.balign	4096
	.globl	stub_code
stub_code:

/* Signal handler: %rdi = signal, %rsi = siginfo, %rdx = ucontext. */
	movq	%rdi, REPORT(REPORT_SIGNAL)
	movq	%rsi, REPORT(REPORT_INFO)
	movq	%rdx, REPORT(REPORT_CONTEXT)
	cmpl	$0, CONTROL(CONTROL_FSGSBASE)
	je	stop
	rdfsbase %rax
	movq	%rax, REPORT(REPORT_FS)
	rdgsbase %rax
	movq	%rax, REPORT(REPORT_GS)

/* Stopped: claim it, and wait for the next go.  %r15 = the go that ended, %r14d = 1: proven. */
stop:
	movq	CONTROL(CONTROL_GO), %r15
	xorl	%r14d, %r14d
	movq	%r15, REPORT(REPORT_PROOF)
	movq	%r15, %rax
	xchgq	%rax, REPORT(REPORT_CLAIM)	/* full barrier, partner: StubProcess::wait_stop */
	cmpl	$0, CONTROL(CONTROL_VMM_SLEEPS)
	je	wait

/*
 * The pipe cannot be written by user code without ending up here, parked: what the kernel sent is what %r15 becomes,
 * and the VMM accepts nothing but the current go, which cannot be known before it is given.
 */
prove:
	movl	$0, REPORT(REPORT_SLEEPS)
	movl	$NR_WRITE, %eax
	movl	$STUB_FD_PIPE, %edi
	leaq	REPORT(REPORT_PROOF), %rsi
	movl	$8, %edx
	syscall
	.globl	stub_after_prove
stub_after_prove:
	movq	REPORT(REPORT_PROOF), %r15
	movl	$1, %r14d

wait:
	movl	CONTROL(CONTROL_SPIN), %ecx
1:	cmpq	%r15, CONTROL(CONTROL_GO)
	jne	execute
	testl	%r14d, %r14d
	jnz	2f
	cmpq	%r15, CONTROL(CONTROL_ASK)
	je	prove
2:	cmpl	$0, CONTROL(CONTROL_SPIN)	/* may change: the vCPU thread has turned to another stub */
	je	sleep
	pause
	decl	%ecx
	jns	1b
sleep:
	movl	$1, REPORT(REPORT_SLEEPS)
	mfence					/* partners: StubProcess::go, StubProcess::prove */
3:	movl	CONTROL(CONTROL_ATTENTION), %edx
	cmpq	%r15, CONTROL(CONTROL_GO)
	jne	5f
	testl	%r14d, %r14d
	jnz	4f
	cmpq	%r15, CONTROL(CONTROL_ASK)
	je	prove
4:	movl	$NR_FUTEX, %eax
	leaq	CONTROL(CONTROL_ATTENTION), %rdi
	xorl	%esi, %esi			/* FUTEX_WAIT */
	xorl	%r10d, %r10d			/* no time-out */
	syscall
	.globl	stub_after_futex
stub_after_futex:
	jmp	3b
5:	movl	$0, REPORT(REPORT_SLEEPS)

/* %r13 = command, %r12d = commands left. */
execute:
	movq	CONTROL(CONTROL_GO), %rax
	cmpq	%rax, REPORT(REPORT_EXECUTED)	/* nobody gave a new go: user code has jumped in and would loop for ever */
	je	die
	leaq	CONTROL(CONTROL_COMMANDS), %r13
	movl	CONTROL(CONTROL_COUNT), %r12d
next:
	testl	%r12d, %r12d
	jz	executed
	movq	(%r13), %rax
	movq	8(%r13), %rdi
	movq	16(%r13), %rsi
	movq	24(%r13), %rdx
	movq	32(%r13), %r10
	movq	40(%r13), %r8
	movq	48(%r13), %r9
	cmpq	$NR_MMAP, %rax
	je	do_mmap
	cmpq	$NR_IOCTL, %rax
	je	do_ioctl
	cmpq	$NR_MPROTECT, %rax
	je	do_mprotect
	cmpq	$NR_MUNMAP, %rax
	je	do_munmap
	cmpq	$NR_MADVISE, %rax
	je	do_madvise
	cmpq	$NR_ARCH_PRCTL, %rax
	je	do_arch_prctl
	jmp	die

/* After a system call: is it one of the commands of the control page?  Else the process ends, before user code runs. */
.macro	verify number
	leaq	CONTROL(CONTROL_COMMANDS), %rcx
	movq	%r13, %rbx
	subq	%rcx, %rbx
	testb	$(COMMAND_BYTES - 1), %bl
	jnz	die
	shrq	$COMMAND_SHIFT, %rbx
	movl	CONTROL(CONTROL_COUNT), %ecx
	cmpq	%rcx, %rbx
	jae	die
	cmpq	$\number, (%r13)
	jne	die
	cmpq	%rdi, 8(%r13)
	jne	die
	cmpq	%rsi, 16(%r13)
	jne	die
	cmpq	%rdx, 24(%r13)
	jne	die
.endm

do_mmap:
	syscall
	.globl	stub_after_mmap
stub_after_mmap:
	verify	NR_MMAP
	cmpq	%r10, 32(%r13)
	jne	die
	cmpq	%r8, 40(%r13)
	jne	die
	cmpq	%r9, 48(%r13)
	jne	die
	jmp	result

do_ioctl:
	movq	64(%r13), %rcx
	movq	%rcx, REPORT(REPORT_PAYLOAD)
	movq	72(%r13), %rcx
	movq	%rcx, REPORT(REPORT_PAYLOAD + 8)
	movq	80(%r13), %rcx
	movq	%rcx, REPORT(REPORT_PAYLOAD + 16)
	syscall
	.globl	stub_after_ioctl
stub_after_ioctl:
	verify	NR_IOCTL
	movq	REPORT(REPORT_PAYLOAD), %rcx
	cmpq	%rcx, 64(%r13)
	jne	die
	movq	REPORT(REPORT_PAYLOAD + 8), %rcx
	cmpq	%rcx, 72(%r13)
	jne	die
	movq	REPORT(REPORT_PAYLOAD + 16), %rcx
	cmpq	%rcx, 80(%r13)
	jne	die
	jmp	result

do_mprotect:
	syscall
	.globl	stub_after_mprotect
stub_after_mprotect:
	verify	NR_MPROTECT
	jmp	result

do_munmap:
	syscall
	.globl	stub_after_munmap
stub_after_munmap:
	verify	NR_MUNMAP
	jmp	result

do_madvise:
	syscall
	.globl	stub_after_madvise
stub_after_madvise:
	verify	NR_MADVISE
	cmpq	$-ENOMEM, %rax			/* done, there were holes */
	jne	result
	xorl	%eax, %eax
	jmp	result

do_arch_prctl:
	syscall
	.globl	stub_after_arch_prctl
stub_after_arch_prctl:
	verify	NR_ARCH_PRCTL

result:
	cmpq	$-4095, %rax
	jae	2f
1:	addq	$COMMAND_BYTES, %r13
	decl	%r12d
	jmp	next
2:	testl	$STUB_MAY_FAIL, COMMAND_FLAGS(%r13)
	jnz	1b
	movq	$STUB_COMMAND_FAILED, REPORT(REPORT_SIGNAL)
	movq	%rax, REPORT(REPORT_INFO)
	movq	%r13, REPORT(REPORT_CONTEXT)
	jmp	stop

executed:
	movq	CONTROL(CONTROL_GO), %rax
	movq	%rax, REPORT(REPORT_EXECUTED)
	movl	CONTROL(CONTROL_AFTER), %eax
	testl	%eax, %eax
	jz	resume
	movq	$0, REPORT(REPORT_SIGNAL)
	cmpl	$STUB_STOP, %eax
	je	stop
	movl	$NR_WRITE, %eax
	movl	$STUB_FD_PIPE, %edi
	leaq	CONTROL(CONTROL_DONE), %rsi
	movl	$8, %edx
	syscall
	.globl	stub_after_done
stub_after_done:

resume:
	cmpl	$0, CONTROL(CONTROL_FSGSBASE)
	je	1f
	movq	CONTROL(CONTROL_FS), %rax
	wrfsbase %rax
	movq	CONTROL(CONTROL_GS), %rax
	wrgsbase %rax
1:	movl	CONTROL(CONTROL_FRAME), %eax
	leaq	STACK(0), %rsp
	addq	%rax, %rsp
	movl	$NR_RT_SIGRETURN, %eax
	syscall
	.globl	stub_after_sigreturn
stub_after_sigreturn:
	ud2

die:
	movl	$NR_EXIT_GROUP, %eax
	movl	$1, %edi
	syscall
	.globl	stub_after_exit
stub_after_exit:
	ud2

/*
 * Where a new stub process begins (nursery.cc): %rdi = 0, %rsi = bytes to unmap there, %r14, %r15 = the same of the
 * second range, %r13 = flags of seccomp(2), %rdx = the filter, in the report page.  Later on the filter refuses all of it.
 * Ends in a trap, whose signal frame becomes the stub's first.
 */
	.globl	stub_boot
stub_boot:
	movq	%rdx, %rbx
	movl	$NR_MUNMAP, %eax
	syscall
	testq	%rax, %rax
	jnz	die
	movq	%r14, %rdi
	movq	%r15, %rsi
	movl	$NR_MUNMAP, %eax
	syscall
	testq	%rax, %rax
	jnz	die
	movq	%rbx, %rdx
	movl	$1, %edi			/* SECCOMP_SET_MODE_FILTER */
	movq	%r13, %rsi
	movl	$NR_SECCOMP, %eax
	syscall
	testq	%rax, %rax
	jnz	die
	.globl	stub_first_trap
stub_first_trap:
	ud2

	.balign	4096
	.globl	stub_code_end
stub_code_end:

	.section .note.GNU-stack, "", @progbits
