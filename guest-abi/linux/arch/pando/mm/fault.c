// SPDX-License-Identifier: GPL-2.0
#include <linux/mm.h>
#include <linux/perf_event.h>
#include <linux/ptrace.h>
#include <linux/sched/signal.h>
#include <asm/hcall.h>
#include <asm/tlbflush.h>
#include <asm/trap_pf.h>
#include <asm/trapnr.h>
#include "../kernel/pando.h"

/* Kernel tables are the truth for the vmalloc area; the host maps on demand. */
bool noinstr pando_vmalloc_fault(unsigned long addr, bool write)
{
	pgd_t *pgd = pgd_offset_k(addr);
	p4d_t *p4d = p4d_offset(pgd, addr);
	pud_t *pud;
	pmd_t *pmd;
	pte_t pte;

	if (addr < VMALLOC_START || addr >= VMALLOC_END || !p4d_present(*p4d))
		return false;
	pud = pud_offset(p4d, addr);
	if (!pud_present(*pud))
		return false;
	pmd = pmd_offset(pud, addr);
	if (!pmd_present(*pmd))
		return false;
	pte = *pte_offset_kernel(pmd, addr);
	if (!(pte_val(pte) & _PAGE_PRESENT) || (write && !pte_write(pte)))
		return false;
	__pando_hcall(PANDO_HC_KERNEL_MAP, addr & PAGE_MASK, pte_pfn(pte) << PAGE_SHIFT, PAGE_SIZE,
		      pte_write(pte), 0);
	return true;
}

static void bad_area(unsigned long addr, int code)
{
	force_sig_fault(SIGSEGV, code, (void __user *)addr);
}

static void fault_failed(vm_fault_t fault, unsigned long addr)
{
	if (fault & VM_FAULT_OOM)
		pagefault_out_of_memory();
	else if (fault & (VM_FAULT_SIGBUS | VM_FAULT_HWPOISON | VM_FAULT_HWPOISON_LARGE))
		force_sig_fault(SIGBUS, BUS_ADRERR, (void __user *)addr);
	else
		bad_area(addr, SEGV_MAPERR);
}

static unsigned long needed_rights(unsigned long err)
{
	if (err & X86_PF_WRITE)
		return VM_WRITE;
	return err & X86_PF_INSTR ? VM_EXEC : VM_ACCESS_FLAGS;
}

static unsigned int fault_flags(unsigned long err)
{
	unsigned int flags = FAULT_FLAG_DEFAULT | FAULT_FLAG_USER;

	if (err & X86_PF_WRITE)
		flags |= FAULT_FLAG_WRITE;
	else if (err & X86_PF_INSTR)
		flags |= FAULT_FLAG_INSTRUCTION;
	return flags;
}

/* Under the lock of the one area; false: come again with the mmap lock. */
static bool fault_under_vma_lock(struct pt_regs *regs, unsigned long addr, unsigned long err,
				 unsigned int flags, vm_fault_t *fault)
{
	struct vm_area_struct *vma = lock_vma_under_rcu(current->mm, addr);

	*fault = 0;
	if (!vma)
		return false;
	if (!(vma->vm_flags & needed_rights(err))) {
		vma_end_read(vma);
		bad_area(addr, SEGV_ACCERR);
		*fault = VM_FAULT_ERROR;
		return true;
	}
	*fault = handle_mm_fault(vma, addr, flags | FAULT_FLAG_VMA_LOCK, regs);
	if (!(*fault & (VM_FAULT_RETRY | VM_FAULT_COMPLETED)))
		vma_end_read(vma);
	if (*fault & VM_FAULT_ERROR) {
		fault_failed(*fault, addr);
		return true;
	}
	return !(*fault & VM_FAULT_RETRY) || fault_signal_pending(*fault, regs);
}

/* True when the entry is there; false when a signal has been sent or is pending. */
static bool fault_under_mmap_lock(struct pt_regs *regs, unsigned long addr, unsigned long err,
				  unsigned int flags)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	vm_fault_t fault;

	for (;;) {
		vma = lock_mm_and_find_vma(mm, addr, regs);
		if (!vma) {
			bad_area(addr, SEGV_MAPERR);
			return false;
		}
		if (!(vma->vm_flags & needed_rights(err))) {
			mmap_read_unlock(mm);
			bad_area(addr, SEGV_ACCERR);
			return false;
		}
		fault = handle_mm_fault(vma, addr, flags, regs);
		if (fault_signal_pending(fault, regs))
			return false;
		if (fault & VM_FAULT_COMPLETED)
			return true;
		if (!(fault & VM_FAULT_RETRY))
			break;
		flags |= FAULT_FLAG_TRIED;
	}
	mmap_read_unlock(mm);
	if (fault & VM_FAULT_ERROR)
		fault_failed(fault, addr);
	return !(fault & VM_FAULT_ERROR);
}

/* A page fault of user code: interrupts are on. */
void do_user_fault(struct pt_regs *regs, unsigned long addr, unsigned long err)
{
	unsigned int flags = fault_flags(err);
	vm_fault_t fault;

	current->thread.cr2 = addr;
	current->thread.error_code = err | X86_PF_USER;
	current->thread.trap_nr = X86_TRAP_PF;
	perf_sw_event(PERF_COUNT_SW_PAGE_FAULTS, 1, regs, addr);
	if (addr >= TASK_SIZE) {
		bad_area(addr, SEGV_MAPERR);
		return;
	}
	if (err & X86_PF_PK) {
		/* The guest hands out no keys: only user code that writes PKRU gets here. */
		bad_area(addr, SEGV_ACCERR);
		return;
	}
	if (fault_under_vma_lock(regs, addr, err, flags, &fault)) {
		if (fault & (VM_FAULT_ERROR | VM_FAULT_RETRY))
			return;
	} else if (!fault_under_mmap_lock(regs, addr, err, flags)) {
		return;
	}
	pando_tlb_fill(current->mm, addr);
}
