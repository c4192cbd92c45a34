/* SPDX-License-Identifier: MIT */
/*
 * Guest ABI: the vCPU block.
 *
 * One per virtual CPU, in host-private memory, at the %gs base while guest kernel code runs.  Written by the guest
 * (G) or the VMM (V) as marked.
 *
 *   off  size  who  field
 *     0     1  GV   irq_on: 1 = interrupts may be delivered (EFLAGS.IF of the virtual CPU)
 *     4     4  G    translations: odd while the guest kernel uses a translation of a user address, as a TLB entry would
 *                 be used; even otherwise.  A shoot-down is done (MM_UNMAP, MM_RESYNC) only when every vCPU it calls,
 *                 other than the caller, has been seen outside the section that it was in
 *     8     8  GV   pending: bit per vector, set by the VMM, taken by the guest with xchg
 *    16     8  V    host_sp: stack on which hypercalls run
 *    24     8  V    hypercall: address of the hypercall entry (a host address: never store it in guest RAM)
 *    32     8  V    cpu: number of this virtual CPU
 *    40     8  G    current: the running task
 *    48     8  G    percpu_offset
 *    56     8  V    self: address of this block (for the VMM alone)
 *
 * History: version 1, first; 2: translations.
 */
#ifndef GUEST_ABI_VCPU_H
#define GUEST_ABI_VCPU_H

#define PANDO_VB_IRQ_ON		0
#define PANDO_VB_TRANSLATIONS	4
#define PANDO_VB_PENDING	8
#define PANDO_VB_HOST_SP	16
#define PANDO_VB_HYPERCALL	24
#define PANDO_VB_CPU		32
#define PANDO_VB_CURRENT	40
#define PANDO_VB_PERCPU_OFFSET	48
#define PANDO_VB_SELF		56
#define PANDO_VB_SIZE		64

/* Interrupt vectors: bits of `pending`. */
#define PANDO_VEC_TIMER		0
#define PANDO_VEC_RESCHEDULE	1
#define PANDO_VEC_CALL		2	/* smp_call_function */
#define PANDO_VEC_IRQ_WORK	3
#define PANDO_VEC_STOP		4	/* stop this CPU for good (panic, power-off) */
#define PANDO_VEC_CONSOLE	8	/* input waits on a console port */
#define PANDO_VEC_FIRST_IRQ	8	/* from here on: device interrupts, Linux irq number = vector */
#define PANDO_VEC_MAX		64

/*
 * Frames pushed by the VMM at interrupts and traps are struct pt_regs of x86-64.  Bit 16 of the saved CS marks a
 * frame of kernel code (the processor ignores it); bit 9 of the saved EFLAGS is the virtual CPU's irq_on.
 */
#define PANDO_FRAME_KERNEL	0x10000
#define PANDO_CS		0x33
#define PANDO_SS		0x2b

#ifndef __ASSEMBLY__
#ifndef __KERNEL__
#include <stdint.h>
typedef uint8_t pando_u8;
typedef uint32_t pando_u32;
typedef uint64_t pando_u64;
#else
#include <linux/types.h>
typedef __u8 pando_u8;
typedef __u32 pando_u32;
typedef __u64 pando_u64;
#endif

struct pando_vcpu_block {
	pando_u8 irq_on;
	pando_u8 reserved[3];
	pando_u32 translations;
	pando_u64 pending;
	pando_u64 host_sp;
	pando_u64 hypercall;
	pando_u64 cpu;
	pando_u64 current_task;
	pando_u64 percpu_offset;
	pando_u64 self;
};
#endif

#endif
