/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_PANDO_TLBFLUSH_H
#define _ASM_PANDO_TLBFLUSH_H

#include <linux/mm_types.h>

struct vm_area_struct;

void flush_tlb_all(void);
void flush_tlb_mm(struct mm_struct *mm);
void flush_tlb_mm_range(struct mm_struct *mm, unsigned long start, unsigned long end);
void flush_tlb_range(struct vm_area_struct *vma, unsigned long start, unsigned long end);
void flush_tlb_page(struct vm_area_struct *vma, unsigned long addr);
void flush_tlb_kernel_range(unsigned long start, unsigned long end);

void pando_tlb_fill(struct mm_struct *mm, unsigned long addr);
void pando_tlb_catch_up(struct mm_struct *mm);

#endif
