// SPDX-License-Identifier: GPL-2.0
#include <linux/export.h>
#include <linux/mutex.h>
#include <linux/futex.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/uaccess.h>
#include <asm/futex.h>

/*
 * Walks current->mm and returns the locked entry for addr, ready for the access
 * (present, young; writable and dirty for a write), or NULL with nothing held.
 */
static pte_t *user_pte_lock(unsigned long addr, bool write, spinlock_t **ptl)
{
	struct mm_struct *mm = current->mm;
	unsigned int tries = 0;
	unsigned long flags;
	pgd_t *pgd;
	p4d_t *p4d;
	pud_t *pud;
	pmd_t *pmd;
	pte_t *p;

	if (unlikely(!mm || addr >= TASK_SIZE))
		return NULL;
again:
	rcu_read_lock();
	local_irq_save(flags);		/* page table pages stay until we enable */
	pgd = pgd_offset(mm, addr);
	p4d = p4d_offset(pgd, addr);
	if (!p4d_present(*p4d))
		goto miss;
	pud = pud_offset(p4d, addr);
	if (!pud_present(*pud))
		goto miss;
	pmd = pmd_offset(pud, addr);
	if (!pmd_present(*pmd))
		goto miss;
	p = pte_offset_map_lock(mm, pmd, addr, ptl);
	if (p) {
		pte_t pte = ptep_get(p);
		unsigned long want = _PAGE_PRESENT | _PAGE_USER;

		if (write)
			want |= _PAGE_RW;
		if ((pte_val(pte) & want) == want) {
			pte_t marked = pte_mkyoung(pte);

			if (write)
				marked = pte_mkdirty(marked);
			/* not for nothing: other nodes may have a copy of the table */
			if (pte_val(marked) != pte_val(pte))
				set_pte(p, marked);
			local_irq_restore(flags);
			rcu_read_unlock();
			return p;
		}
		pte_unmap_unlock(p, *ptl);
	}
miss:
	local_irq_restore(flags);
	rcu_read_unlock();
	if (faulthandler_disabled() || tries++ > 3)
		return NULL;
	mmap_read_lock(mm);
	if (fixup_user_fault(mm, addr, write ? FAULT_FLAG_WRITE : 0, NULL)) {
		mmap_read_unlock(mm);
		return NULL;
	}
	mmap_read_unlock(mm);
	goto again;
}

static __always_inline void *user_ptr(pte_t *p, unsigned long addr)
{
	return pfn_to_virt(pte_pfn(*p)) + (addr & ~PAGE_MASK);
}

#define EACH_PAGE(uaddr, n, write, body)				\
	while (n) {							\
		unsigned long len = min(n, PAGE_SIZE - (uaddr & ~PAGE_MASK)); \
		spinlock_t *ptl;					\
		pte_t *p = user_pte_lock(uaddr, write, &ptl);		\
		void *k;						\
		if (!p)							\
			break;						\
		k = user_ptr(p, uaddr);					\
		body;							\
		pte_unmap_unlock(p, ptl);				\
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
			pte_unmap_unlock(p, ptl);
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
			pte_unmap_unlock(p, ptl);
			return done + 1;
		}
	}));
	return n ? 0 : count + 1;
}
EXPORT_SYMBOL(strnlen_user);

int arch_futex_atomic_op_inuser(int op, u32 arg, int *oval, u32 __user *uaddr)
{
	spinlock_t *ptl;
	pte_t *p;
	u32 *k, old, new;

	if (!access_ok(uaddr, 4))
		return -EFAULT;
	p = user_pte_lock((unsigned long)uaddr, true, &ptl);
	if (!p)
		return -EFAULT;
	k = user_ptr(p, (unsigned long)uaddr);
	old = READ_ONCE(*k);
	do {
		switch (op) {
		case FUTEX_OP_SET: new = arg; break;
		case FUTEX_OP_ADD: new = old + arg; break;
		case FUTEX_OP_OR: new = old | arg; break;
		case FUTEX_OP_ANDN: new = old & ~arg; break;
		case FUTEX_OP_XOR: new = old ^ arg; break;
		default:
			pte_unmap_unlock(p, ptl);
			return -ENOSYS;
		}
	} while (!try_cmpxchg(k, &old, new));
	pte_unmap_unlock(p, ptl);
	*oval = old;
	return 0;
}

int futex_atomic_cmpxchg_inatomic(u32 *uval, u32 __user *uaddr, u32 oldval, u32 newval)
{
	spinlock_t *ptl;
	pte_t *p;

	if (!access_ok(uaddr, 4))
		return -EFAULT;
	p = user_pte_lock((unsigned long)uaddr, true, &ptl);
	if (!p)
		return -EFAULT;
	*uval = cmpxchg((u32 *)user_ptr(p, (unsigned long)uaddr), oldval, newval);
	pte_unmap_unlock(p, ptl);
	return 0;
}
