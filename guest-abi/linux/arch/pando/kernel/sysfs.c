// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/hypervisor: type, and in pando/ what the guest may know of its machine.
 *
 *   abi_version   version of the guest ABI
 *   nodes         a line per node: number, name, CPUs, MiB
 *   stats         counters of the node that reads (struct pando_stats): faults and the time spent waiting for pages,
 *                 and what user mode costs
 *   placement/    see placement.c
 *   exit_status   0 .. 255, written by root: the status of the machine when it powers off
 */
#include <linux/init.h>
#include <linux/kobject.h>
#include <linux/sizes.h>
#include <linux/sysfs.h>
#include <linux/topology.h>
#include <asm/boot_info.h>
#include <asm/hcall.h>
#include "pando.h"
#include "placement.h"

static ssize_t type_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "pando\n");
}
static struct kobj_attribute type_attr = __ATTR_RO(type);

static ssize_t abi_version_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", pando_boot.version);
}
static struct kobj_attribute abi_version_attr = __ATTR_RO(abi_version);

static ssize_t nodes_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	ssize_t len = 0;
	int node;

	for (node = 0; node < pando_boot.node_count; node++)
		len += sysfs_emit_at(buf, len, "%d %.15s cpus %*pbl memory %llu MiB\n", node,
				     pando_boot.node_name[node],
				     cpumask_pr_args(cpumask_of_node(node)),
				     pando_boot.ranges[node].bytes / SZ_1M);
	return len;
}
static struct kobj_attribute nodes_attr = __ATTR_RO(nodes);

static ssize_t stats_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	struct pando_stats s = { 0 };
	long err;
	int node;

	preempt_disable();
	node = numa_node_id();
	err = hcall1(PANDO_HC_STATS, &s);
	preempt_enable();
	if (err)
		return err;
	return sysfs_emit(buf, "node %d\nfaults_local %llu\nfaults_remote_read %llu\n"
			  "faults_remote_write %llu\nfault_wait_ns %llu\nhand_overs %llu\nsleeps %llu\n"
			  "system_calls %llu\nuser_faults %llu\nstub_faults %llu\ncommands %llu\n"
			  "unmaps %llu\nparks %llu\nproofs %llu\nstub_ns %llu\n", node,
			  s.faults_local, s.faults_remote_read, s.faults_remote_write,
			  s.fault_wait_ns, s.hand_overs, s.sleeps, s.system_calls, s.user_faults,
			  s.stub_faults, s.commands, s.unmaps, s.parks, s.proofs, s.stub_ns);
}
static struct kobj_attribute stats_attr = __ATTR_RO(stats);

static ssize_t exit_status_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", pando_exit_status);
}

static ssize_t exit_status_store(struct kobject *kobj, struct kobj_attribute *attr,
				 const char *buf, size_t count)
{
	int err = kstrtou8(buf, 10, &pando_exit_status);

	return err ?: count;
}
static struct kobj_attribute exit_status_attr = __ATTR_RW(exit_status);

static struct attribute *pando_attrs[] = {
	&abi_version_attr.attr,
	&nodes_attr.attr,
	&stats_attr.attr,
	&exit_status_attr.attr,
	NULL,
};

static const struct attribute_group pando_group = { .attrs = pando_attrs };

static int __init pando_sysfs_setup(void)
{
	struct kobject *dir = kobject_create_and_add("pando", hypervisor_kobj);

	if (!dir)
		return -ENOMEM;
	return sysfs_create_file(hypervisor_kobj, &type_attr.attr) ?:
	       sysfs_create_group(dir, &pando_group) ?:
	       pando_placement_setup(dir);
}
device_initcall(pando_sysfs_setup);
