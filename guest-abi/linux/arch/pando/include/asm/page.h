/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_PANDO_PAGE_H
#define _ASM_PANDO_PAGE_H
#include <linux/const.h>
#include <guest_abi/layout.h>

#define PAGE_SHIFT	CONFIG_PAGE_SHIFT
#define PAGE_SIZE	(_AC(1, UL) << PAGE_SHIFT)
#define PAGE_MASK	(~(PAGE_SIZE - 1))
#define PAGE_OFFSET	_AC(PANDO_RAM_BASE, UL)

#ifndef __ASSEMBLY__
#include <linux/types.h>
#include <linux/pfn.h>

typedef struct { unsigned long pte; } pte_t;
typedef struct { unsigned long pmd; } pmd_t;
typedef struct { unsigned long pud; } pud_t;
typedef struct { unsigned long pgd; } pgd_t;
typedef struct { unsigned long pgprot; } pgprot_t;
typedef struct page *pgtable_t;

#define pte_val(x)	((x).pte)
#define pmd_val(x)	((x).pmd)
#define pud_val(x)	((x).pud)
#define pgd_val(x)	((x).pgd)
#define pgprot_val(x)	((x).pgprot)
#define __pte(x)	((pte_t) { (x) })
#define __pmd(x)	((pmd_t) { (x) })
#define __pud(x)	((pud_t) { (x) })
#define __pgd(x)	((pgd_t) { (x) })
#define __pgprot(x)	((pgprot_t) { (x) })

static inline void clear_page(void *page)
{
	unsigned long n = PAGE_SIZE / 8;

	asm volatile("rep stosq" : "+D" (page), "+c" (n) : "a" (0L) : "memory");
}

static inline void copy_page(void *to, void *from)
{
	unsigned long n = PAGE_SIZE / 8;

	asm volatile("rep movsq" : "+D" (to), "+S" (from), "+c" (n) :: "memory");
}
#define clear_user_page(page, vaddr, pg)	clear_page(page)
#define copy_user_page(to, from, vaddr, pg)	copy_page(to, from)

#define __pa(x)		((unsigned long)(x) - PAGE_OFFSET)
#define __va(x)		((void *)((unsigned long)(x) + PAGE_OFFSET))
#define __pa_symbol(x)	__pa(x)
#define virt_to_pfn(x)	PFN_DOWN(__pa(x))
#define pfn_to_virt(x)	__va(PFN_PHYS(x))
#define virt_to_page(x)	pfn_to_page(virt_to_pfn(x))
#define page_to_virt(x)	pfn_to_virt(page_to_pfn(x))
#define page_to_phys(x)	PFN_PHYS(page_to_pfn(x))
#define phys_to_page(x)	pfn_to_page(PFN_DOWN(x))

#define ARCH_PFN_OFFSET	0UL
extern unsigned long max_mapnr;
#define virt_addr_valid(x) ({ unsigned long __a = (unsigned long)(x);	\
	__a >= PAGE_OFFSET && pfn_valid(virt_to_pfn(__a)); })

#define VM_DATA_DEFAULT_FLAGS	VM_DATA_FLAGS_TSK_EXEC

#include <asm-generic/memory_model.h>
#include <asm-generic/getorder.h>
#endif
#endif
