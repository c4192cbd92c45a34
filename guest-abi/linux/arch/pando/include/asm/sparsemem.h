/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_PANDO_SPARSEMEM_H
#define _ASM_PANDO_SPARSEMEM_H

#define MAX_PHYSMEM_BITS	40	/* the direct map ends below the vmalloc area */
#define SECTION_SIZE_BITS	24	/* nodes' ranges are multiples of this: 16 MiB */
#define PANDO_SECTION_BYTES	(1UL << SECTION_SIZE_BITS)

#endif
