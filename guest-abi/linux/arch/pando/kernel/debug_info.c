// SPDX-License-Identifier: GPL-2.0
/* The ELF note for debuggers: guest_abi/debug.h. */
#include <linux/elf.h>
#include <linux/mm_types.h>
#include <linux/pgtable.h>
#include <linux/sched.h>
#include <guest_abi/debug.h>

static const struct {
	struct elf64_note head;
	char owner[ALIGN(sizeof(PANDO_DEBUG_NOTE_OWNER), 4)];
	struct pando_debug_info info;
} __packed note __used __section(".note.pando") __aligned(4) = {
	.head = {
		.n_namesz = sizeof(PANDO_DEBUG_NOTE_OWNER),
		.n_descsz = sizeof(struct pando_debug_info),
		.n_type = PANDO_DEBUG_NOTE_TYPE,
	},
	.owner = PANDO_DEBUG_NOTE_OWNER,
	.info = {
		.version = PANDO_DEBUG_VERSION,
		.size = sizeof(struct pando_debug_info),
		.kernel_pgd = (unsigned long)swapper_pg_dir,
		.task_mm = offsetof(struct task_struct, mm),
		.task_pid = offsetof(struct task_struct, pid),
		.task_tgid = offsetof(struct task_struct, tgid),
		.task_comm = offsetof(struct task_struct, comm),
		.mm_pgd = offsetof(struct mm_struct, pgd),
	},
};
