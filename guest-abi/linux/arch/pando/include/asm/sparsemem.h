/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_PANDO_SPARSEMEM_H
#define _ASM_PANDO_SPARSEMEM_H

#define MAX_PHYSMEM_BITS	40	/* the direct map ends below the vmalloc area */
#define SECTION_SIZE_BITS	24

#endif
