/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_PANDO_MMU_H
#define _ASM_PANDO_MMU_H

/* See the head of mm/tlb.c. */
typedef struct {
	unsigned long id;		/* name of the address space, never used again */
	unsigned long used_nodes;	/* nodes that ever ran it: each has a stub */
	unsigned long stale_nodes;	/* nodes whose stub must be emptied before it runs again */
} mm_context_t;

#endif
