// SPDX-License-Identifier: GPL-2.0
#include <linux/init.h>
#include <linux/initrd.h>
#include <linux/kallsyms.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <asm/mmu_context.h>
#include <asm/pgalloc.h>

/* Kernel addresses of the vmalloc area alone: the direct map needs no table. */
pgd_t swapper_pg_dir[PTRS_PER_PGD] __page_aligned_bss;
unsigned long empty_zero_page[PAGE_SIZE / sizeof(unsigned long)] __page_aligned_bss;
EXPORT_SYMBOL(empty_zero_page);

void __init mem_init(void)
{
	memblock_free_all();
}

static atomic64_t next_mm = ATOMIC64_INIT(1);

int init_new_context(struct task_struct *tsk, struct mm_struct *mm)
{
	mm->context = (mm_context_t) { .id = atomic64_inc_return(&next_mm) };
	return 0;
}

static const pgprot_t protection_map[16] = {
	[VM_NONE]					= PAGE_NONE,
	[VM_READ]					= PAGE_READONLY,
	[VM_WRITE]					= PAGE_READONLY,
	[VM_WRITE | VM_READ]				= PAGE_READONLY,
	[VM_EXEC]					= PAGE_READONLY_X,
	[VM_EXEC | VM_READ]				= PAGE_READONLY_X,
	[VM_EXEC | VM_WRITE]				= PAGE_READONLY_X,
	[VM_EXEC | VM_WRITE | VM_READ]			= PAGE_READONLY_X,
	[VM_SHARED]					= PAGE_NONE,
	[VM_SHARED | VM_READ]				= PAGE_READONLY,
	[VM_SHARED | VM_WRITE]				= PAGE_SHARED,
	[VM_SHARED | VM_WRITE | VM_READ]		= PAGE_SHARED,
	[VM_SHARED | VM_EXEC]				= PAGE_READONLY_X,
	[VM_SHARED | VM_EXEC | VM_READ]			= PAGE_READONLY_X,
	[VM_SHARED | VM_EXEC | VM_WRITE]		= PAGE_SHARED_X,
	[VM_SHARED | VM_EXEC | VM_WRITE | VM_READ]	= PAGE_SHARED_X,
};
DECLARE_VM_GET_PAGE_PROT

/*
 * vm.compaction_proactiveness is 0 unless the operator wants it: it wakes every node twice a second.  Written before the
 * threads start that read it; Linux keeps the variable to itself, and sysctl.* on the command line costs 0.2 s of boot.
 */
static int __init calm_compaction(void)
{
	unsigned int *proactiveness = (void *)kallsyms_lookup_name("sysctl_compaction_proactiveness");

	if (proactiveness)
		*proactiveness = 0;
	return 0;
}
core_initcall(calm_compaction);

/* Not poisoned first: that would fetch every page of it for nothing. */
void free_initmem(void)
{
	free_initmem_default(-1);
}

void __init free_initrd_mem(unsigned long start, unsigned long end)
{
	free_reserved_area((void *)start, (void *)end, -1, "initrd");
}
