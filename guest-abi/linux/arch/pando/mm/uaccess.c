// SPDX-License-Identifier: GPL-2.0
#include <linux/export.h>
#include <linux/mutex.h>
#include <linux/futex.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/stringify.h>
#include <linux/uaccess.h>
#include <asm/futex.h>
#include <guest_abi/vcpu.h>

/*
 * User memory is reached through the direct map, after a look at current's page tables.  No lock is held meanwhile: the
 * locks of page tables lie in the struct page array, 64 to a page, and nodes that share such a page would take turns in
 * it.  What stands in for the lock is what a processor has: a translation in use.  From begin to end the count in the
 * vCPU block is odd, and a TLB flush is done only when every vCPU that it calls has left the section it was in (see
 * guest_abi/vcpu.h), so the page stays what it was until then.  Interrupts are off: a section is short and not nested.
 */
static __always_inline void translation_begin(void)
{
	/* locked: the entry is read after the count is seen */
	asm volatile("lock incl %%gs:" __stringify(PANDO_VB_TRANSLATIONS) ::: "memory", "cc");
}

static __always_inline void translation_end(void)
{
	asm volatile("incl %%gs:" __stringify(PANDO_VB_TRANSLATIONS) ::: "memory", "cc");
}

/* The last-level entry's place, or NULL.  Interrupts are off: tables do not go away (they are freed by RCU). */
static pte_t *find_pte(struct mm_struct *mm, unsigned long addr, pmd_t **pmd)
{
	pgd_t *pgd = pgd_offset(mm, addr);
	p4d_t *p4d = p4d_offset(pgd, addr);
	pud_t *pud;

	if (!p4d_present(*p4d))
		return NULL;
	pud = pud_offset(p4d, addr);
	if (!pud_present(*pud))
		return NULL;
	*pmd = pmd_offset(pud, addr);
	if (!pmd_present(**pmd))
		return NULL;
	return pte_offset_map(*pmd, addr);
}

/* As the processor does: accessed, for a write also dirty.  Under the lock, because others change entries under it. */
static void mark_entry(struct mm_struct *mm, pmd_t *pmd, unsigned long addr, unsigned long want,
		       unsigned long marks)
{
	spinlock_t *ptl;
	pte_t *p = pte_offset_map_lock(mm, pmd, addr, &ptl);

	if (!p)
		return;
	if ((pte_val(ptep_get(p)) & want) == want)
		set_pte(p, __pte(pte_val(ptep_get(p)) | marks));
	pte_unmap_unlock(p, ptl);
}

/*
 * Where the kernel finds the byte at addr of current's memory, good for the access until user_byte_end(); or NULL with
 * nothing to end.
 */
static void *user_byte_begin(unsigned long addr, bool write, unsigned long *flags)
{
	unsigned long want = _PAGE_PRESENT | _PAGE_USER | (write ? _PAGE_RW : 0);
	unsigned long marks = _PAGE_ACCESSED | (write ? _PAGE_DIRTY : 0);
	struct mm_struct *mm = current->mm;
	unsigned int faults = 0;

	if (unlikely(!mm || addr >= TASK_SIZE))
		return NULL;
	for (;;) {
		pmd_t *pmd = NULL;
		pte_t pte, *p;

		local_irq_save(*flags);
		rcu_read_lock();
		translation_begin();
		p = find_pte(mm, addr, &pmd);
		pte = p ? ptep_get_lockless(p) : __pte(0);
		if (p)
			pte_unmap(p);
		if (likely((pte_val(pte) & (want | marks)) == (want | marks))) {
			rcu_read_unlock();
			return pfn_to_virt(pte_pfn(pte)) + (addr & ~PAGE_MASK);
		}
		translation_end();
		if ((pte_val(pte) & want) == want)
			mark_entry(mm, pmd, addr, want, marks);
		rcu_read_unlock();
		local_irq_restore(*flags);
		if ((pte_val(pte) & want) == want)
			continue;
		if (faulthandler_disabled() || faults++ > 3)
			return NULL;
		mmap_read_lock(mm);
		if (fixup_user_fault(mm, addr, write ? FAULT_FLAG_WRITE : 0, NULL)) {
			mmap_read_unlock(mm);
			return NULL;
		}
		mmap_read_unlock(mm);
	}
}

static __always_inline void user_byte_end(unsigned long flags)
{
	translation_end();
	local_irq_restore(flags);
}

#define EACH_PAGE(uaddr, n, write, body)				\
	while (n) {							\
		unsigned long len = min(n, PAGE_SIZE - (uaddr & ~PAGE_MASK)); \
		unsigned long flags;					\
		void *k = user_byte_begin(uaddr, write, &flags);	\
		if (!k)							\
			break;						\
		body;							\
		user_byte_end(flags);					\
		uaddr += len;						\
		n -= len;						\
	}

unsigned long raw_copy_from_user(void *to, const void __user *from, unsigned long n)
{
	unsigned long u = (unsigned long)from;

	EACH_PAGE(u, n, false, ({ memcpy(to, k, len); to += len; }));
	return n;
}
EXPORT_SYMBOL(raw_copy_from_user);

unsigned long raw_copy_to_user(void __user *to, const void *from, unsigned long n)
{
	unsigned long u = (unsigned long)to;

	EACH_PAGE(u, n, true, ({ memcpy(k, from, len); from += len; }));
	return n;
}
EXPORT_SYMBOL(raw_copy_to_user);

unsigned long __clear_user(void __user *to, unsigned long n)
{
	unsigned long u = (unsigned long)to;

	EACH_PAGE(u, n, true, memset(k, 0, len));
	return n;
}
EXPORT_SYMBOL(__clear_user);

long strncpy_from_user(char *dst, const char __user *src, long count)
{
	unsigned long u = (unsigned long)src, n = count, done = 0;

	if (count <= 0)
		return 0;
	if (u >= TASK_SIZE)
		return -EFAULT;
	EACH_PAGE(u, n, false, ({
		unsigned long l = strnlen(k, len);

		memcpy(dst + done, k, l);
		done += l;
		if (l < len) {
			dst[done] = 0;
			user_byte_end(flags);
			return done;
		}
	}));
	return n ? -EFAULT : done;
}
EXPORT_SYMBOL(strncpy_from_user);

long strnlen_user(const char __user *s, long count)
{
	unsigned long u = (unsigned long)s, n = count, done = 0;

	if (count <= 0 || u >= TASK_SIZE)
		return 0;
	EACH_PAGE(u, n, false, ({
		unsigned long l = strnlen(k, len);

		done += l;
		if (l < len) {
			user_byte_end(flags);
			return done + 1;
		}
	}));
	return n ? 0 : count + 1;
}
EXPORT_SYMBOL(strnlen_user);

int arch_futex_atomic_op_inuser(int op, u32 arg, int *oval, u32 __user *uaddr)
{
	unsigned long flags;
	u32 *k, old, new;

	if (!access_ok(uaddr, 4))
		return -EFAULT;
	k = user_byte_begin((unsigned long)uaddr, true, &flags);
	if (!k)
		return -EFAULT;
	old = READ_ONCE(*k);
	do {
		switch (op) {
		case FUTEX_OP_SET: new = arg; break;
		case FUTEX_OP_ADD: new = old + arg; break;
		case FUTEX_OP_OR: new = old | arg; break;
		case FUTEX_OP_ANDN: new = old & ~arg; break;
		case FUTEX_OP_XOR: new = old ^ arg; break;
		default:
			user_byte_end(flags);
			return -ENOSYS;
		}
	} while (!try_cmpxchg(k, &old, new));
	user_byte_end(flags);
	*oval = old;
	return 0;
}

int futex_atomic_cmpxchg_inatomic(u32 *uval, u32 __user *uaddr, u32 oldval, u32 newval)
{
	unsigned long flags;
	u32 *k;

	if (!access_ok(uaddr, 4))
		return -EFAULT;
	k = user_byte_begin((unsigned long)uaddr, true, &flags);
	if (!k)
		return -EFAULT;
	*uval = cmpxchg(k, oldval, newval);
	user_byte_end(flags);
	return 0;
}
