/* SPDX-License-Identifier: GPL-2.0 */
/* One NUMA node per Pando node: mm/numa.c. */
#ifndef _ASM_PANDO_TOPOLOGY_H
#define _ASM_PANDO_TOPOLOGY_H

#include <linux/cpumask.h>
#include <linux/numa.h>
#include <linux/threads.h>

extern struct cpumask pando_node_cpus[];

static inline const struct cpumask *cpumask_of_node(int node)
{
	return node == NUMA_NO_NODE ? cpu_all_mask : &pando_node_cpus[node];
}

int pando_cpu_node(int cpu);
unsigned long pando_cpu_nodes(void);	/* bit mask of nodes with a CPU online */
int pando_node_distance(int a, int b);

#define early_cpu_to_node(cpu)	pando_cpu_node(cpu)
#define node_distance(a, b)	pando_node_distance(a, b)
#define cpumask_of_pcibus(bus)	cpu_online_mask

#include <asm-generic/topology.h>
#endif
