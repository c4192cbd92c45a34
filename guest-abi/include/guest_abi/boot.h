/* SPDX-License-Identifier: MIT */
/*
 * Guest ABI: boot info.
 *
 * Lies at guest-physical PANDO_BOOT_GPA, identical on all nodes, read-only for the guest.  The VMM enters the image
 * at its ELF entry point on the host stack with interrupts off and %rdi = virtual address of struct pando_boot.
 * Other vCPUs start at the entry given to PANDO_HC_VCPU_START with %rdi = the argument given there.
 *
 *   off  size  field
 *     0     8  magic            PANDO_BOOT_MAGIC
 *     8     4  version          PANDO_ABI_VERSION; the guest refuses another one
 *    12     4  size             sizeof(struct pando_boot)
 *    16     8  features         PANDO_FEATURE_*
 *    24     8  cmdline_gpa      NUL-terminated
 *    32     8  initrd_gpa       0 when there is none
 *    40     8  initrd_bytes
 *    48     8  hwcap            AT_HWCAP for user programs, agreed over the cluster
 *    56     8  hwcap2           AT_HWCAP2, likewise
 *    64     4  fpu_bytes        size of the signal-frame xsave image (multiple of 64 not required), with magic2
 *    68     4  node_count       1 .. PANDO_NODES_MAX
 *    72     4  vcpu_count       1 .. PANDO_VCPUS_MAX
 *    76     4  device_count     0: no device is defined yet
 *    80     8  loops_per_second  delay loop iterations per second, agreed over the cluster
 *    88     8  xfeatures        features (XCR0 bits) that the xsave image has room for; bits 0 and 1 are implied
 *    96   16*PANDO_NODES_MAX  ranges: guest-physical RAM of each node, ascending, adjacent, multiples of 4 MiB
 *   352    1*PANDO_VCPUS_MAX  vcpu_node: node of each vCPU
 *   416    1*256              distance[a * PANDO_NODES_MAX + b]: NUMA distance, 10 = local
 *   672   16*PANDO_NODES_MAX  node_name: NUL-terminated, for /sys/hypervisor/pando
 *   928   end
 *
 * History: version 1, first.
 */
#ifndef GUEST_ABI_BOOT_H
#define GUEST_ABI_BOOT_H

#include "layout.h"
#include "vcpu.h"

#define PANDO_BOOT_MAGIC	0x746f6f626f646e70	/* "pndoboot" */

#define PANDO_FEATURE_UFFD	(1 << 0)	/* mappings are registered for userfaultfd */
#define PANDO_FEATURE_FSGSBASE	(1 << 1)	/* user code may use wrfsbase and friends */

#define PANDO_FPU_MAX		16384		/* upper limit of fpu_bytes */

#ifndef __ASSEMBLY__
struct pando_node_range {
	pando_u64 start;	/* guest-physical byte address */
	pando_u64 bytes;
};

struct pando_boot {
	pando_u64 magic;
	pando_u32 version;
	pando_u32 size;
	pando_u64 features;
	pando_u64 cmdline_gpa;
	pando_u64 initrd_gpa;
	pando_u64 initrd_bytes;
	pando_u64 hwcap;
	pando_u64 hwcap2;
	pando_u32 fpu_bytes;
	pando_u32 node_count;
	pando_u32 vcpu_count;
	pando_u32 device_count;
	pando_u64 loops_per_second;
	pando_u64 xfeatures;
	struct pando_node_range ranges[PANDO_NODES_MAX];
	pando_u8 vcpu_node[PANDO_VCPUS_MAX];
	pando_u8 distance[PANDO_NODES_MAX * PANDO_NODES_MAX];
	char node_name[PANDO_NODES_MAX][16];
};
#endif

#endif
