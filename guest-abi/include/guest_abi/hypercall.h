/* SPDX-License-Identifier: MIT */
/*
 * Guest ABI: hypercalls.
 *
 * A hypercall is a call of vcpu_block.hypercall on vcpu_block.host_sp with irq_on = 0, System V calling convention,
 * arguments (nr, a, b, c, d, e).  The result is >= 0 or -errno.  Afterwards the caller clears the caller-saved
 * registers: nothing of the host may reach guest RAM.  Pointers are guest kernel addresses in the direct map.
 *
 * `nodes` is a bit mask of node numbers.  Where it is given, the call returns when every named node has done it
 * ("acknowledged"); 0 means this node only; this node is always included.
 *
 *   nr  name            arguments                              may block  result
 *    1  CONSOLE_WRITE   port, pointer, bytes                   yes        bytes written
 *    2  CONSOLE_READ    port, pointer, bytes                   no         bytes read, 0 = none waits
 *    3  CLOCK           clock                                  no         ns; PANDO_CLOCK_MONOTONIC is the same on
 *                                                                         all nodes and starts near 0 at boot
 *    4  TIMER           delta in ns, 0 disarms                 no         0; one-shot, raises PANDO_VEC_TIMER
 *    5  IDLE            -                                      yes        0 when something is pending
 *    6  POWER           kind, code                             yes        does not return
 *    7  IPI             cpu, vector, gpa, gpa, gpa             no         0; up to three pages that the CPU will write
 *                                                                         soon, 0 = none: fetched ahead
 *    8  VCPU_START      cpu, entry, argument                   no         0; -EEXIST when it runs already
 *    9  KERNEL_MAP      va, gpa, bytes, writable               yes        0
 *   10  KERNEL_UNMAP    va, bytes, nodes                       yes        0
 *   11  MM_MAP          mm, va, gpa, bytes, prot               no         0; may be forgotten at any time (it is a TLB)
 *   12  MM_UNMAP        mm, va, bytes, nodes                   yes        0
 *   13  MM_RESYNC       mm, struct pando_resync *, nodes       yes        0; what is not listed is dropped
 *   14  MM_FREE         mm, nodes                              no         0; mm is never used again
 *   15  RUN_USER        mm, struct pando_user *                yes        PANDO_EXIT_*
 *   16  SET_ENTRY       irq entry, trap entry                  no         0; once, on the first vCPU
 *   17  LOCK_WAIT       interruptible                          yes        0 after a LOCK_KICK of this vCPU since its last
 *                                                                         LOCK_WAIT; interruptible = 1: also when
 *                                                                         something is pending
 *   18  LOCK_KICK       cpu                                    no         0
 *   19  STATS           struct pando_stats *                   no         0; counters of this node
 *   20  MM_NAME         mm, pid, comm, page table              no         0; whose address space mm is, for who looks at
 *                                                                         the machine from outside; comm: pointer to its
 *                                                                         16 bytes, page table: guest-physical address
 *
 * History: version 1, first; later: pages of an IPI (zero before); MM_NAME, LOCK_WAIT, LOCK_KICK (-ENOSYS from a VMM
 * that does not know them).
 */
#ifndef GUEST_ABI_HYPERCALL_H
#define GUEST_ABI_HYPERCALL_H

#include "vcpu.h"

#define PANDO_HC_CONSOLE_WRITE	1
#define PANDO_HC_CONSOLE_READ	2
#define PANDO_HC_CLOCK		3
#define PANDO_HC_TIMER		4
#define PANDO_HC_IDLE		5
#define PANDO_HC_POWER		6
#define PANDO_HC_IPI		7
#define PANDO_HC_VCPU_START	8
#define PANDO_HC_KERNEL_MAP	9
#define PANDO_HC_KERNEL_UNMAP	10
#define PANDO_HC_MM_MAP		11
#define PANDO_HC_MM_UNMAP	12
#define PANDO_HC_MM_RESYNC	13
#define PANDO_HC_MM_FREE	14
#define PANDO_HC_RUN_USER	15
#define PANDO_HC_SET_ENTRY	16
#define PANDO_HC_LOCK_WAIT	17
#define PANDO_HC_LOCK_KICK	18
#define PANDO_HC_STATS		19
#define PANDO_HC_MM_NAME	20

#define PANDO_COMM_BYTES	16

/* Console ports. */
#define PANDO_PORT_CONSOLE	0	/* system console (hvc0): kernel log, shell */
#define PANDO_PORT_STDIO	1	/* hvc1: standard input and output of `pando run` */
#define PANDO_PORT_STDERR	2	/* hvc2: its standard error, output only */
#define PANDO_PORTS		3

/*
 * A terminal has no end of file, so the input of PANDO_PORT_STDIO is escaped: ESCAPE ESCAPE is the byte ESCAPE,
 * ESCAPE END the end of the input.
 */
#define PANDO_STDIO_ESCAPE	0x10
#define PANDO_STDIO_END		0x04

#define PANDO_CLOCK_MONOTONIC	0
#define PANDO_CLOCK_REALTIME	1

#define PANDO_POWER_OFF		0	/* code: exit status of the guest, 0 .. 255 */
#define PANDO_POWER_REBOOT	1
#define PANDO_POWER_PANIC	2
#define PANDO_POWER_HALT	3

/* prot of PANDO_HC_MM_MAP and of resync entries */
#define PANDO_PROT_READ		1
#define PANDO_PROT_WRITE	2
#define PANDO_PROT_EXEC		4

#ifndef __ASSEMBLY__
/* Entries ascending by va, inside [from, to); all mappings of that range that are not listed are dropped. */
struct pando_resync_entry {
	pando_u64 va;		/* page address */
	pando_u64 gpa_prot;	/* guest-physical page address | PANDO_PROT_* */
};

#define PANDO_RESYNC_MAX	254
struct pando_resync {		/* one page */
	pando_u64 from;
	pando_u64 to;
	pando_u64 count;	/* 0 .. PANDO_RESYNC_MAX */
	struct pando_resync_entry entry[PANDO_RESYNC_MAX];
};

struct pando_stats {		/* all counters since boot, this node */
	pando_u64 faults_local;
	pando_u64 faults_remote_read;
	pando_u64 faults_remote_write;
	pando_u64 fault_wait_ns;
	/* user mode */
	pando_u64 hand_overs;		/* to a stub and back */
	pando_u64 sleeps;		/* of these: the vCPU's thread slept instead of spinning */
	pando_u64 system_calls;
	pando_u64 user_faults;		/* page faults that the guest served */
	pando_u64 stub_faults;		/* page faults that it never saw */
	pando_u64 commands;		/* mappings changed in stubs: host system calls */
	pando_u64 unmaps;		/* hypercalls MM_UNMAP and MM_RESYNC */
	pando_u64 parks;		/* stubs stopped for them */
	pando_u64 proofs;		/* of stops, for them */
	pando_u64 stub_ns;		/* time spent in stubs, by samples: user code, signals, commands */
	pando_u64 reserved[2];
};
#endif

#endif
