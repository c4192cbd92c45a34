// SPDX-License-Identifier: GPL-2.0
/*
 * The stubs' mappings are a TLB: filled after faults, emptied by flushes.
 *
 * An address space has one stub on every node that ever ran it (context.used_nodes).  A flush always empties the
 * stub of its own node.  Of the others it calls those alone that have the address space loaded on a CPU right now
 * (mm_cpumask); the rest are marked stale and empty themselves before they run user code again, so a task that moved
 * away from a node does not pay for it for ever.
 *
 * Order, flushing side: change the entry; read mm_cpumask; mark stale; read mm_cpumask again.
 * Order, running side: set the bit in mm_cpumask; test stale; empty the stub; clear stale; fill from the entries.
 * The atomic bit operations are full barriers, the page table lock orders entries, so either the flush sees the CPU
 * or the CPU sees the mark.
 */
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/smp.h>
#include <linux/topology.h>
#include <asm/hcall.h>
#include <asm/tlbflush.h>

#define FILL_AROUND	16	/* entries looked at for one fault */

static int host_prot(pte_t pte)
{
	const unsigned long usable = _PAGE_PRESENT | _PAGE_USER | _PAGE_ACCESSED;
	int prot = PANDO_PROT_READ;

	if ((pte_val(pte) & usable) != usable)
		return 0;
	/* not dirty: the first write has to fault, to mark it */
	if (pte_write(pte) && pte_dirty(pte))
		prot |= PANDO_PROT_WRITE;
	if (pte_exec(pte))
		prot |= PANDO_PROT_EXEC;
	return prot;
}

/* Interrupts are off or the mmap lock is held: tables do not go away. */
static pmd_t *find_pmd(struct mm_struct *mm, unsigned long addr)
{
	pgd_t *pgd = pgd_offset(mm, addr);
	p4d_t *p4d = p4d_offset(pgd, addr);
	pud_t *pud;
	pmd_t *pmd;

	if (!p4d_present(*p4d))
		return NULL;
	pud = pud_offset(p4d, addr);
	if (!pud_present(*pud))
		return NULL;
	pmd = pmd_offset(pud, addr);
	return pmd_present(*pmd) ? pmd : NULL;
}

struct run {
	unsigned long va, gpa, bytes;
	int prot;
};

static void run_add(struct mm_struct *mm, struct run *r, unsigned long va, unsigned long gpa,
		    int prot)
{
	if (r->prot && prot == r->prot && gpa == r->gpa + r->bytes) {
		r->bytes += PAGE_SIZE;
		return;
	}
	if (r->prot)
		__pando_hcall(PANDO_HC_MM_MAP, mm->context.id, r->va, r->gpa, r->bytes, r->prot);
	*r = (struct run) { .va = va, .gpa = gpa, .bytes = PAGE_SIZE, .prot = prot };
}

/* A fault at addr has been served: let the stub of this node have that entry and its usable neighbours. */
void pando_tlb_fill(struct mm_struct *mm, unsigned long addr)
{
	unsigned long flags, va = addr & ~(FILL_AROUND * PAGE_SIZE - 1);
	struct run run = { .prot = 0 };
	spinlock_t *ptl;
	pte_t *ptep, *p;
	pmd_t *pmd;

	local_irq_save(flags);
	pmd = find_pmd(mm, addr);
	ptep = pmd ? pte_offset_map_lock(mm, pmd, va, &ptl) : NULL;
	if (ptep) {
		/* Under the lock: the flush after a change of these cannot overtake us. */
		for (p = ptep; p < ptep + FILL_AROUND; p++, va += PAGE_SIZE) {
			pte_t pte = ptep_get(p);

			run_add(mm, &run, va, pte_pfn(pte) << PAGE_SHIFT, host_prot(pte));
		}
		run_add(mm, &run, 0, 0, 0);
		pte_unmap_unlock(ptep, ptl);
	}
	local_irq_restore(flags);
}

static unsigned long active_nodes(struct mm_struct *mm, unsigned long among)
{
	unsigned long active = 0;
	int node;

	for_each_set_bit(node, &among, MAX_NUMNODES)
		if (cpumask_intersects(mm_cpumask(mm), cpumask_of_node(node)))
			active |= BIT(node);
	return active;
}

/* Nodes to call for a flush, besides our own; the idle ones are marked stale.  Preemption is off. */
static unsigned long flush_targets(struct mm_struct *mm)
{
	unsigned long others = READ_ONCE(mm->context.used_nodes) & ~BIT(numa_node_id());
	unsigned long active, idle;
	int node;

	if (!others)
		return 0;
	smp_mb();	/* the changed entries, before mm_cpumask; pairs with cpumask_set_cpu() in switch_mm() */
	active = active_nodes(mm, others);
	smp_rmb();	/* in this order: a CPU clears stale before it leaves mm_cpumask */
	idle = others & ~active & ~READ_ONCE(mm->context.stale_nodes);
	if (!idle)
		return active;
	for_each_set_bit(node, &idle, MAX_NUMNODES)
		set_bit(node, &mm->context.stale_nodes);
	smp_mb__after_atomic();
	return active | active_nodes(mm, idle);
}

/* Called with interrupts off, before user code of this address space runs here. */
void pando_tlb_catch_up(struct mm_struct *mm)
{
	int node = numa_node_id();

	if (likely(!test_bit(node, &mm->context.stale_nodes)))
		return;
	__pando_hcall(PANDO_HC_MM_UNMAP, mm->context.id, 0, TASK_SIZE, 0, 0);
	clear_bit(node, &mm->context.stale_nodes);
}

void flush_tlb_mm_range(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	start &= PAGE_MASK;
	end = PAGE_ALIGN(min(end, TASK_SIZE));
	if (start >= end)
		return;
	preempt_disable();
	hcall4(PANDO_HC_MM_UNMAP, mm->context.id, start, end - start, flush_targets(mm));
	preempt_enable();
}

static void resync_send(struct mm_struct *mm, struct pando_resync *r, unsigned long to)
{
	r->to = to;
	hcall3(PANDO_HC_MM_RESYNC, mm->context.id, r, flush_targets(mm));
	r->from = to;
	r->count = 0;
}

/* One page table's worth of entries, starting at the PMD boundary va. */
static void resync_table(struct mm_struct *mm, struct pando_resync *r, pmd_t *pmd,
			 unsigned long va)
{
	spinlock_t *ptl;
	pte_t *ptep = pte_offset_map_lock(mm, pmd, va, &ptl);
	int i;

	if (!ptep)
		return;
	for (i = 0; i < PTRS_PER_PTE; i++, va += PAGE_SIZE) {
		pte_t pte = ptep_get(ptep + i);
		int prot = host_prot(pte);

		if (!prot)
			continue;
		if (r->count == PANDO_RESYNC_MAX)
			resync_send(mm, r, va);
		r->entry[r->count].va = va;
		r->entry[r->count++].gpa_prot = (pte_pfn(pte) << PAGE_SHIFT) | prot;
	}
	pte_unmap_unlock(ptep, ptl);
}

/* First address after va's empty part of the table tree. */
static unsigned long skip_hole(struct mm_struct *mm, unsigned long va)
{
	p4d_t *p4d = p4d_offset(pgd_offset(mm, va), va);

	if (!p4d_present(*p4d))
		return (va & PGDIR_MASK) + PGDIR_SIZE;
	if (!pud_present(*pud_offset(p4d, va)))
		return (va & PUD_MASK) + PUD_SIZE;
	return (va & PMD_MASK) + PMD_SIZE;
}

/*
 * The whole address space changed, mostly by losing write permission (fork).  Rather than dropping all, tell what is
 * still good: the monitor narrows or drops the rest.  Callers hold the mmap lock, so tables do not go away.
 */
void flush_tlb_mm(struct mm_struct *mm)
{
	struct pando_resync *r = (void *)__get_free_page(GFP_ATOMIC | __GFP_NOWARN);
	unsigned long va = 0;

	BUILD_BUG_ON(sizeof(*r) > PAGE_SIZE);
	if (!r) {
		flush_tlb_mm_range(mm, 0, TASK_SIZE);
		return;
	}
	preempt_disable();
	r->from = r->count = 0;
	while (va < TASK_SIZE) {
		pmd_t *pmd = find_pmd(mm, va);

		if (pmd)
			resync_table(mm, r, pmd, va & PMD_MASK);
		va = skip_hole(mm, va);
	}
	resync_send(mm, r, TASK_SIZE);
	preempt_enable();
	free_page((unsigned long)r);
}

void flush_tlb_range(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	flush_tlb_mm_range(vma->vm_mm, start, end);
}

void flush_tlb_page(struct vm_area_struct *vma, unsigned long addr)
{
	addr &= PAGE_MASK;
	flush_tlb_mm_range(vma->vm_mm, addr, addr + PAGE_SIZE);
}

/* Only the vmalloc area is mapped page by page; the direct map never changes. */
void flush_tlb_kernel_range(unsigned long start, unsigned long end)
{
	start = max(start & PAGE_MASK, VMALLOC_START);
	end = min(PAGE_ALIGN(end), VMALLOC_END);
	if (start < end)
		hcall3(PANDO_HC_KERNEL_UNMAP, start, end - start, pando_cpu_nodes());
}

void flush_tlb_all(void)
{
	flush_tlb_kernel_range(VMALLOC_START, VMALLOC_END);
}
