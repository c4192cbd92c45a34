/* SPDX-License-Identifier: MIT */
/*
 * Guest ABI: addresses.  Constants only, for C, C++ and assembly.
 *
 * Guest-physical address g is mapped in every VMM process at PANDO_RAM_BASE + g (the direct map).  The kernel image
 * is linked into that range, below 2 GiB, and loaded identically on every node, like the pages from PANDO_BOOT_GPA
 * up to PANDO_KERNEL_GPA (boot info and command line).
 *
 * History: version 1, first; 2: vcpu_block.translations.
 */
#ifndef GUEST_ABI_LAYOUT_H
#define GUEST_ABI_LAYOUT_H

#define PANDO_ABI_VERSION	2

#define PANDO_RAM_BASE		0x60000000	/* direct map of guest RAM */
#define PANDO_BOOT_GPA		0x00001000	/* struct pando_boot, up to 4 pages */
#define PANDO_CMDLINE_GPA	0x00008000	/* NUL-terminated, at most PANDO_CMDLINE_MAX bytes with the NUL */
#define PANDO_CMDLINE_MAX	4096
#define PANDO_KERNEL_GPA	0x00100000	/* first byte of the kernel image */

#define PANDO_VMALLOC_START	0x10000000000	/* single pages of guest RAM, mapped by PANDO_HC_KERNEL_MAP */
#define PANDO_VMALLOC_END	0x12000000000

#define PANDO_USER_TOP		0x700000000000	/* end of guest user addresses; the stub lives above */

#define PANDO_NODES_MAX		16
#define PANDO_VCPUS_MAX		64

#endif
