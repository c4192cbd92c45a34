/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Two load segments below 2 GiB, in guest RAM like everything else: what is only read, which all nodes have from the
 * start, and the rest, which node 0 has.
 *
 * Nodes share memory by pages.  Every variable has a section of its own (CONFIG_LD_DEAD_CODE_DATA_ELIMINATION), so
 * the ones that nodes fight for are sorted into pages here: together what is written together, apart from all that
 * is only read.  The list comes from the fault profile by symbol.
 */
#include <asm/page.h>
#include <asm/cache.h>
#include <asm/thread_info.h>
#include <guest_abi/layout.h>
#define LOAD_OFFSET	PAGE_OFFSET
#define RO_EXCEPTION_TABLE_ALIGN 16
#define EMITS_PT_NOTE	/* the ABI version, for the image loader */
#include <asm-generic/vmlinux.lds.h>

#define VAR(x)		*(.data.x) *(.bss.x) *(.data..read_mostly.x)
#define LINES_OF(file)	*file(.data..cacheline_aligned)
#define ALL_OF(file)	*file(.data .data.[0-9a-zA-Z_]* .bss .bss.[0-9a-zA-Z_]*)
#define NEW_PAGE	. = ALIGN(PAGE_SIZE);

#define HOT_TIME							\
	VAR(timekeeper_lock) VAR(tk_core) VAR(shadow_timekeeper)	\
	VAR(tk_fast_mono) VAR(tk_fast_raw)				\
	LINES_OF(kernel/time/jiffies.o) LINES_OF(kernel/time/timer.o)	\
	VAR(tick_do_timer_cpu) VAR(last_jiffies_update)			\
	VAR(tick_next_period) VAR(calc_load_update) VAR(calc_load_tasks) \
	VAR(avenrun) VAR(calc_load_nohz) VAR(calc_load_idx)		\
	VAR(timekeeping_suspended) ALL_OF(kernel/time/ntp.o)

#define HOT_PROCESS_CREATION						\
	LINES_OF(kernel/fork.o) LINES_OF(kernel/pid.o)			\
	VAR(nr_threads) VAR(total_forks) VAR(next_mm) VAR(init_pid_ns)	\
	VAR(root_user) VAR(init_struct_pid) VAR(ucounts_lock)		\
	VAR(init_ucounts) VAR(init_groups) VAR(init_cred)		\
	VAR(init_nsproxy) VAR(init_fs) VAR(pidfs_ino)			\
	VAR(init_user_ns) VAR(cgroup_threadgroup_rwsem)

#define HOT_PRINTK							\
	VAR(printk_rb_static) VAR(printk_cpu_sync_owner)		\
	VAR(printk_cpu_sync_nested) VAR(console_sem) VAR(console_owner_lock) \
	VAR(console_owner) VAR(console_waiter) VAR(printk_shared_pbufs)

#define HOT_MEMORY							\
	LINES_OF(mm/vmstat.o) VAR(vm_committed_as) VAR(_totalram_pages)	\
	VAR(pcpu_lock) VAR(pcpu_alloc_mutex) VAR(pcpu_nr_empty_pop_pages)

#define HOT_DEVICES							\
	VAR(gdp_mutex) VAR(req_lock) VAR(uevent_seqnum)			\
	VAR(in_lookup_hashtable) VAR(noop_backing_dev_info)

#define HOT_DATA							\
	.hotdata : AT(ADDR(.hotdata) - LOAD_OFFSET) {			\
		_sdata = .;						\
		NEW_PAGE HOT_TIME					\
		NEW_PAGE VAR(rcu_state)					\
		NEW_PAGE VAR(nohz)					\
		NEW_PAGE HOT_PROCESS_CREATION				\
		NEW_PAGE VAR(css_set_lock) VAR(css_set_count) VAR(init_css_set) \
		NEW_PAGE VAR(init_task)					\
		NEW_PAGE HOT_MEMORY					\
		NEW_PAGE VAR(input_pool) VAR(base_crng)			\
		NEW_PAGE LINES_OF(fs/namespace.o)			\
		NEW_PAGE HOT_DEVICES					\
		NEW_PAGE HOT_PRINTK					\
		NEW_PAGE						\
	}

/*
 * PERCPU_SECTION with what other CPUs touch apart from what they do not, and what they touch together on one page:
 *   - what is only read
 *   - a wake-up: run queue and call queue
 *   - the end of a grace period: RCU's data and whether the CPU idles
 *   - the rest that is shared
 */
#define PERCPU(file)	*file(.data..percpu)
#define PERCPU_SHARED(file)	*file(.data..percpu..shared_aligned)
#define PERCPU_BY_PAGE							\
	.data..percpu : AT(ADDR(.data..percpu) - LOAD_OFFSET) {		\
		__per_cpu_load = .;					\
		__per_cpu_start = .;					\
		*(.data..percpu..first)					\
		NEW_PAGE *(.data..percpu..page_aligned)			\
		NEW_PAGE *(.data..percpu..read_mostly)			\
		PERCPU(kernel/sched/build_utility.o) PERCPU(net/ipv4/tcp.o) \
		NEW_PAGE PERCPU_SHARED(kernel/sched/core.o)		\
		PERCPU_SHARED(kernel/smp.o)				\
		NEW_PAGE PERCPU_SHARED(kernel/rcu/tree.o)		\
		PERCPU(kernel/context_tracking.o)			\
		NEW_PAGE *(.data..percpu)				\
		NEW_PAGE *(.data..percpu..shared_aligned)		\
		NEW_PAGE __per_cpu_end = .;				\
	}

OUTPUT_FORMAT("elf64-x86-64", "elf64-x86-64", "elf64-x86-64")
OUTPUT_ARCH(i386:x86-64)
ENTRY(pando_start)
jiffies = jiffies_64;

PHDRS {
	text PT_LOAD FLAGS(5);
	data PT_LOAD FLAGS(7);
	note PT_NOTE FLAGS(0);
}

SECTIONS
{
	. = PAGE_OFFSET + PANDO_KERNEL_GPA;
	_text = .;
	_stext = .;
	.text : AT(ADDR(.text) - LOAD_OFFSET) {
		HEAD_TEXT
		TEXT_TEXT
		SCHED_TEXT
		LOCK_TEXT
		KPROBES_TEXT
		IRQENTRY_TEXT
		SOFTIRQENTRY_TEXT
		*(.fixup)
	} :text = 0x9090
	_etext = .;
	. = ALIGN(PAGE_SIZE);

	RO_DATA(PAGE_SIZE)
	. = ALIGN(PAGE_SIZE);
	HOT_DATA :data
	RW_DATA(L1_CACHE_BYTES, PAGE_SIZE, THREAD_SIZE)
	_edata = .;

	. = ALIGN(PAGE_SIZE);
	__init_begin = .;
	INIT_TEXT_SECTION(PAGE_SIZE)
	INIT_DATA_SECTION(16)
	.exit.text : AT(ADDR(.exit.text) - LOAD_OFFSET) { EXIT_TEXT }
	.exit.data : AT(ADDR(.exit.data) - LOAD_OFFSET) { EXIT_DATA }
	. = ALIGN(PAGE_SIZE);
	PERCPU_BY_PAGE
	. = ALIGN(PAGE_SIZE);
	__init_end = .;

	BSS_SECTION(PAGE_SIZE, PAGE_SIZE, PAGE_SIZE)
	_end = .;

	STABS_DEBUG
	DWARF_DEBUG
	ELF_DETAILS
	DISCARDS
	/DISCARD/ : { *(.eh_frame) *(.note.gnu.property) }
}
