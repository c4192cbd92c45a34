/* SPDX-License-Identifier: MIT */
/*
 * Guest ABI: what a debugger has to know of the kernel image to follow pointers from a virtual CPU to the page tables
 * and the name of its task.
 *
 * An ELF note of the image (section .note.pando, found without symbols): owner PANDO_DEBUG_NOTE_OWNER, type
 * PANDO_DEBUG_NOTE_TYPE, the description is struct pando_debug_info.  Offsets are in bytes from the start of the named
 * kernel structure.
 *
 *   off  size  field
 *     0     4  version          PANDO_DEBUG_VERSION
 *     4     4  size             sizeof(struct pando_debug_info)
 *     8     8  kernel_pgd       virtual address of the kernel's top page table
 *    16     4  task_mm          task: mm, 0 for kernel threads
 *    20     4  task_pid         task: pid, 4 bytes
 *    24     4  task_tgid        task: process id, 4 bytes
 *    28     4  task_comm        task: name, 16 bytes, NUL-terminated
 *    32     4  mm_pgd           mm: virtual address of the top page table
 *    36     4  reserved, 0
 *
 * Page tables have x86-64's layout, four levels, 4 KiB pages only; bit 0 or bit 8 of the last level means present.
 *
 * History: version 1, first.
 */
#ifndef GUEST_ABI_DEBUG_H
#define GUEST_ABI_DEBUG_H

#include "vcpu.h"

#define PANDO_DEBUG_VERSION	1
#define PANDO_DEBUG_NOTE_OWNER	"PANDO"
#define PANDO_DEBUG_NOTE_TYPE	1

#ifndef __ASSEMBLY__
struct pando_debug_info {
	pando_u32 version;
	pando_u32 size;
	pando_u64 kernel_pgd;
	pando_u32 task_mm;
	pando_u32 task_pid;
	pando_u32 task_tgid;
	pando_u32 task_comm;
	pando_u32 mm_pgd;
	pando_u32 reserved;
};
#endif

#endif
