// SPDX-License-Identifier: GPL-2.0
/* First C code of the kernel, and the boot info. */
#include <linux/cache.h>
#include <linux/console.h>
#include <linux/init.h>
#include <linux/initrd.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/sched/task.h>
#include <linux/start_kernel.h>
#include <linux/string.h>
#include <asm/boot_info.h>
#include <asm/fpu.h>
#include <asm/hcall.h>
#include <asm/sections.h>
#include <asm/setup.h>
#include <asm/sparsemem.h>
#include "pando.h"

struct pando_boot pando_boot __ro_after_init;
unsigned long pando_hwcap __ro_after_init, pando_hwcap2 __ro_after_init;
/* No page block of the buddy allocator may belong to two nodes. */
#define NODE_BYTES_MULTIPLE	(PAGE_SIZE << MAX_PAGE_ORDER)

static char __initdata command_line[COMMAND_LINE_SIZE];

/* Offsets as documented in guest_abi/boot.h: the VMM asserts the same. */
static_assert(offsetof(struct pando_boot, ranges) == 96);
static_assert(offsetof(struct pando_boot, vcpu_node) == 352);
static_assert(offsetof(struct pando_boot, distance) == 416);
static_assert(offsetof(struct pando_boot, node_name) == 672);
static_assert(sizeof(struct pando_boot) == 928);
static_assert(PANDO_NODES_MAX <= MAX_NUMNODES);
static_assert(PANDO_VCPUS_MAX <= NR_CPUS);

/* Before printk works: a sentence on the console, and the end. */
static void __init early_fail(const char *why)
{
	static const char prefix[] __initconst = "guest kernel: ";

	hcall3(PANDO_HC_CONSOLE_WRITE, PANDO_PORT_CONSOLE, prefix, sizeof(prefix) - 1);
	hcall3(PANDO_HC_CONSOLE_WRITE, PANDO_PORT_CONSOLE, why, strlen(why));
	hcall3(PANDO_HC_CONSOLE_WRITE, PANDO_PORT_CONSOLE, "\n", 1);
	pando_power(PANDO_POWER_PANIC, 1);
}

static const char *__init check_nodes(const struct pando_boot *b)
{
	unsigned long end = 0;
	int i;

	for (i = 0; i < b->node_count; i++) {
		const struct pando_node_range *r = &b->ranges[i];

		if (r->start != end || !r->bytes || r->bytes % NODE_BYTES_MULTIPLE)
			return "boot info: memory of the nodes is not adjacent multiples of 4 MiB";
		end = r->start + r->bytes;
	}
	if (end > (1UL << MAX_PHYSMEM_BITS) - PANDO_RAM_BASE)
		return "boot info: more memory than this kernel addresses";
	for (i = 0; i < b->vcpu_count; i++)
		if (b->vcpu_node[i] >= b->node_count)
			return "boot info: a virtual CPU of a node that is not there";
	return NULL;
}

/* Returns what is wrong with it, or NULL. */
static const char *__init check_boot(const struct pando_boot *b)
{
	if (b->magic != PANDO_BOOT_MAGIC)
		return "boot info: wrong magic number";
	if (b->version != PANDO_ABI_VERSION)
		return "boot info: ABI version differs; kernel image and pando-vmm do not belong together";
	if (b->size != sizeof(*b))
		return "boot info: size differs; kernel image and pando-vmm do not belong together";
	if (!b->node_count || b->node_count > PANDO_NODES_MAX)
		return "boot info: number of nodes out of range";
	if (!b->vcpu_count || b->vcpu_count > PANDO_VCPUS_MAX)
		return "boot info: number of virtual CPUs out of range";
	if (b->fpu_bytes < 512 + 64 + 4 || b->fpu_bytes > PANDO_FPU_MAX)
		return "boot info: size of the FPU state out of range";
	return check_nodes(b);
}

asmlinkage void __init pando_start_kernel(struct pando_boot *b);
asmlinkage void __init pando_start_kernel(struct pando_boot *b)
{
	const char *wrong = check_boot(b);

	if (wrong)
		early_fail(wrong);
	pando_boot = *b;
	pando_hwcap = b->hwcap;
	pando_hwcap2 = b->hwcap2;
	pando_fpu_setup(b->fpu_bytes, b->xfeatures);
	hcall2(PANDO_HC_SET_ENTRY, pando_irq_entry, pando_trap_entry);
	start_kernel();
}

static void __init memory_setup(void)
{
	const struct pando_node_range *last = &pando_boot.ranges[pando_boot.node_count - 1];
	unsigned long bytes = last->start + last->bytes;
	unsigned long zones[MAX_NR_ZONES] = { 0 };

	/* What is allocated without a node in mind belongs to node 0, where the boot runs. */
	memblock_set_bottom_up(true);
	memblock_add(0, bytes);
	memblock_reserve(0, __pa(_end));
	if (pando_boot.initrd_bytes) {
		memblock_reserve(pando_boot.initrd_gpa, pando_boot.initrd_bytes);
		initrd_start = (unsigned long)__va(pando_boot.initrd_gpa);
		initrd_end = initrd_start + pando_boot.initrd_bytes;
	}
	min_low_pfn = 0;
	max_low_pfn = max_pfn = PFN_DOWN(bytes);
	high_memory = __va(bytes);
	/* Hash tables in one piece on node 0, not page by page over all nodes. */
	hashdist = 0;
	pando_numa_init();
	sparse_init();
	zones[ZONE_NORMAL] = max_low_pfn;
	free_area_init(zones);
}

void __init setup_arch(char **cmdline_p)
{
	unsigned int cpu;

	strscpy(boot_command_line, __va(pando_boot.cmdline_gpa), COMMAND_LINE_SIZE);
	strscpy(command_line, boot_command_line, COMMAND_LINE_SIZE);
	*cmdline_p = command_line;
	setup_initial_init_mm(_stext, _etext, _edata, _end);
	for (cpu = 0; cpu < pando_boot.vcpu_count; cpu++) {
		set_cpu_possible(cpu, true);
		set_cpu_present(cpu, true);
	}
	pando_early_console();
	parse_early_param();
	memory_setup();
	pando_cpuinfo_store();
}
