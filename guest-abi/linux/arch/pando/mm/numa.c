// SPDX-License-Identifier: GPL-2.0
/*
 * NUMA from the boot info: node ranges, the nodes of the CPUs, distances.
 *
 * Not GENERIC_ARCH_NUMA, which wants ACPI or a device tree.  A node's memory must be a multiple of 4 MiB (setup.c
 * checks it); with a multiple of the sparsemem section, 16 MiB, no struct page array belongs to two nodes either.
 */
#include <linux/cpu.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/memblock.h>
#include <linux/mempolicy.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/numa_memblks.h>
#include <linux/percpu.h>
#include <linux/sched/topology.h>
#include <linux/topology.h>
#include <linux/workqueue.h>
#include <asm/boot_info.h>
#include <asm/sections.h>
#include "../kernel/pando.h"

struct cpumask pando_node_cpus[MAX_NUMNODES] __read_mostly;
EXPORT_SYMBOL(pando_node_cpus);

unsigned long __per_cpu_offset[NR_CPUS] __read_mostly;
EXPORT_SYMBOL(__per_cpu_offset);

int pando_cpu_node(int cpu)
{
	return pando_boot.vcpu_node[cpu];
}

/*
 * How many more answers sched_init_numa() gets that hide the distance.  It asks for every pair of nodes twice: first
 * for the distances that there are, then for who is how far from whom.  Hearing of one distance alone the first time
 * it makes no scheduler domain that spans nodes, neither at boot nor when cpusets rebuild the domains later.
 */
static unsigned int hidden_distances;

void __init pando_hide_distances(void)
{
	unsigned int nodes = num_node_state(N_CPU);

	hidden_distances = nodes * nodes;
}

int pando_node_distance(int a, int b)
{
	if (unlikely(hidden_distances)) {
		hidden_distances--;
		return LOCAL_DISTANCE;
	}
	return pando_boot.distance[a * PANDO_NODES_MAX + b];
}
EXPORT_SYMBOL(pando_node_distance);

unsigned long pando_cpu_nodes(void)
{
	unsigned long nodes = 0;
	int cpu;

	for_each_online_cpu(cpu)
		nodes |= BIT(cpu_to_node(cpu));
	return nodes;
}

static int __init cpu_distance(unsigned int a, unsigned int b)
{
	return node_distance(pando_cpu_node(a), pando_cpu_node(b));
}

void __init setup_per_cpu_areas(void)
{
	unsigned long delta;
	unsigned int cpu;

	if (pcpu_embed_first_chunk(PERCPU_MODULE_RESERVE, PERCPU_DYNAMIC_RESERVE, PAGE_SIZE,
				   cpu_distance, pando_cpu_node) < 0)
		panic("no memory for the per-CPU areas");
	delta = (unsigned long)pcpu_base_addr - (unsigned long)__per_cpu_start;
	for_each_possible_cpu(cpu)
		__per_cpu_offset[cpu] = delta + pcpu_unit_offsets[cpu];
	for_each_possible_cpu(cpu) {
		set_cpu_numa_node(cpu, pando_cpu_node(cpu));
		cpumask_set_cpu(cpu, &pando_node_cpus[pando_cpu_node(cpu)]);
	}
}

static void __init node_setup(int node)
{
	unsigned long start, end;

	get_pfn_range_for_nid(node, &start, &end);
	alloc_node_data(node);
	NODE_DATA(node)->node_id = node;
	NODE_DATA(node)->node_start_pfn = start;
	NODE_DATA(node)->node_spanned_pages = end - start;
	node_set_online(node);
}

/*
 * Linux spreads what it allocates while it boots over all nodes, page by page.  Here the boot runs on node 0 and
 * keeps its memory there.  Called when that policy has just been set.
 */
static void __init boot_memory_is_local(void)
{
	numa_default_policy();
}

/* The boot info has been checked, the ranges are in memblock. */
void __init pando_numa_init(void)
{
	int node;

	late_time_init = boot_memory_is_local;
	nodes_clear(node_possible_map);
	nodes_clear(node_online_map);
	for (node = 0; node < pando_boot.node_count; node++) {
		const struct pando_node_range *r = &pando_boot.ranges[node];

		memblock_set_node(r->start, r->bytes, &memblock.memory, node);
		memblock_set_node(r->start, r->bytes, &memblock.reserved, node);
		node_set(node, node_possible_map);
	}
	setup_nr_node_ids();
	for (node = 0; node < pando_boot.node_count; node++)
		node_setup(node);
}

/* Nodes up to `last` get a partition of their own.  On a CPU of node `last`. */
static long __init partition_up_to(void *last_node)
{
	cpumask_var_t *doms = alloc_sched_domains(pando_boot.node_count);
	int node, count = 0, last = (long)last_node;

	if (!doms)
		return -ENOMEM;
	for (node = 0; node <= last; node++)
		if (cpumask_and(doms[count], cpumask_of_node(node), cpu_active_mask))
			count++;
	cpus_read_lock();
	partition_sched_domains(count, doms, NULL);
	cpus_read_unlock();
	return 0;
}

/*
 * One scheduling partition (and root domain) per node: no balancing, no push or pull of tasks across nodes.  The
 * same call that cpuset partitions end in; made by each node for itself, because a CPU writes to its root domain
 * whenever it wakes up or goes idle, and what nodes write must not share pages.
 */
static int __init pando_partition_scheduler(void)
{
	int node, cpu;
	long err = 0;

	if (pando_boot.node_count == 1)
		return 0;
	for (node = 0; !err && node < pando_boot.node_count; node++) {
		cpu = cpumask_first_and(cpumask_of_node(node), cpu_active_mask);
		if (cpu < nr_cpu_ids)
			err = work_on_cpu(cpu, partition_up_to, (void *)(long)node);
	}
	return err;
}
core_initcall(pando_partition_scheduler);
