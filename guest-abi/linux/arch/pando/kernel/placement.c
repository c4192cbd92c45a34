// SPDX-License-Identifier: GPL-2.0
/*
 * Placement of work over the nodes.
 *
 * No scheduler domain spans nodes (mm/numa.c), so a task stays on its node until it is moved here:
 *
 *   exec      a program that starts on an overloaded node starts on a node with an idle CPU instead.  It moves before
 *             its new address space is made, when it has the least to carry.
 *   fork      the same for a new process or thread, at its first moment, before it has touched user memory.
 *   balance   every balance_ms an overloaded node gives waiting tasks to nodes with idle CPUs.
 *
 * Overloaded: more runnable tasks than CPUs, now and at the last two looks of the balancer, so that a kernel thread
 * that wakes for a moment moves nobody.  Only an overloaded node looks at the others (that fetches their run queues'
 * pages), and after a look in vain not again for LOOK_PAUSE_MS.  Affinity set by users is respected, and left
 * as it is: where nothing spans nodes, a task that has been moved stays.
 *
 * Each is switched at run time by /sys/hypervisor/pando/placement/NAME and at boot by pando.NAME=.
 */
#include <linux/cpumask.h>
#include <linux/init.h>
#include <linux/jiffies.h>
#include <linux/kobject.h>
#include <linux/mmu_context.h>
#include <linux/moduleparam.h>
#include <linux/stop_machine.h>
#include <linux/sysfs.h>
#include <linux/topology.h>
#include <linux/workqueue.h>
#include "../../../kernel/sched/sched.h"
#include "pando.h"
#include "placement.h"

#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "pando."

#define LOOK_PAUSE_MS	100
#define BUSY_LOOKS	2
#define OFF_LOOK_MS	1000	/* time between two looks of a balancer that is switched off */

unsigned int pando_place_exec_on __read_mostly = 1, pando_place_fork_on __read_mostly;
static unsigned int balance_ms __read_mostly = 200;
static unsigned int balance_threads __read_mostly = 1;

module_param_named(exec, pando_place_exec_on, uint, 0);
module_param_named(fork, pando_place_fork_on, uint, 0);
module_param(balance_ms, uint, 0);
module_param(balance_threads, uint, 0);

/* Of one node, used by its CPUs alone. */
struct node_placement {
	struct delayed_work work;
	unsigned long look_after;	/* jiffies */
	unsigned int busy_looks;	/* in a row that found the node overloaded */
	unsigned long moved_exec, moved_fork, moved_balance;
} ____cacheline_internodealigned_in_smp;

static struct node_placement placements[MAX_NUMNODES];

static unsigned int running_on(int node)
{
	unsigned int running = 0;
	int cpu;

	for_each_cpu_and(cpu, cpumask_of_node(node), cpu_online_mask)
		running += READ_ONCE(cpu_rq(cpu)->nr_running);
	return running;
}

/* Runnable tasks of this node beyond its CPUs. */
static unsigned int surplus_of(int node)
{
	unsigned int running = running_on(node);
	unsigned int cpus = cpumask_weight(cpumask_of_node(node));

	return running > cpus ? running - cpus : 0;
}

/* An idle CPU of another node on which p may run, or -1. */
static int idle_cpu_elsewhere(struct task_struct *p, int home)
{
	struct node_placement *np = &placements[home];
	int cpu;

	if (time_before(jiffies, READ_ONCE(np->look_after)))
		return -1;
	for_each_cpu_and(cpu, p->cpus_ptr, cpu_active_mask)
		if (cpu_to_node(cpu) != home && !READ_ONCE(cpu_rq(cpu)->nr_running))
			return cpu;
	WRITE_ONCE(np->look_after, jiffies + msecs_to_jiffies(LOOK_PAUSE_MS));
	return -1;
}

struct move {
	struct task_struct *task;
	int cpu;
	bool done;
};

/* In the stopper thread of the task's CPU, so that the task does not run. */
static int move_stopped(void *data)
{
	struct move *m = data;
	struct task_struct *p = m->task;
	struct rq *from = this_rq(), *to = cpu_rq(m->cpu);
	struct rq_flags rf;

	local_irq_disable();
	raw_spin_lock(&p->pi_lock);	/* affinity and wake-ups stand still */
	rq_lock(from, &rf);
	if (task_rq(p) == from && task_on_rq_queued(p) && !p->se.sched_delayed &&
	    cpumask_test_cpu(m->cpu, p->cpus_ptr) && !is_migration_disabled(p)) {
		update_rq_clock(from);
		deactivate_task(from, p, DEQUEUE_NOCLOCK);
		set_task_cpu(p, m->cpu);
		rq_unlock(from, &rf);
		rq_lock(to, &rf);
		update_rq_clock(to);
		activate_task(to, p, ENQUEUE_NOCLOCK);
		wakeup_preempt(to, p, 0);
		rq_unlock(to, &rf);
		m->done = true;
	} else {
		rq_unlock(from, &rf);
	}
	raw_spin_unlock(&p->pi_lock);
	local_irq_enable();
	return 0;
}

static bool move_task(struct task_struct *p, int cpu)
{
	struct move m = { .task = p, .cpu = cpu };

	stop_one_cpu(task_cpu(p), move_stopped, &m);
	return m.done;
}

/* Called by the task that execs or has just been forked, in its own context, interrupts on. */
void pando_place_current(enum pando_birth birth)
{
	int home = numa_node_id(), cpu;

	if (nr_online_nodes == 1 || READ_ONCE(placements[home].busy_looks) < BUSY_LOOKS ||
	    !surplus_of(home))
		return;
	cpu = idle_cpu_elsewhere(current, home);
	if (cpu < 0 || !move_task(current, cpu))
		return;
	if (birth == PANDO_BIRTH_EXEC)
		placements[home].moved_exec++;
	else
		placements[home].moved_fork++;
}

static bool may_leave(struct task_struct *p, int home, bool threads)
{
	if (!p->mm || p->se.sched_delayed || task_current(task_rq(p), p) || task_on_cpu(task_rq(p), p))
		return false;
	if (is_migration_disabled(p) || cpumask_subset(p->cpus_ptr, cpumask_of_node(home)))
		return false;
	return threads || thread_group_empty(p);
}

/* A task waiting on cpu that may go elsewhere, with a reference, or NULL: whole processes first, then threads. */
static struct task_struct *waiting_task(int cpu, int home)
{
	struct rq *rq = cpu_rq(cpu);
	struct task_struct *p, *found = NULL;
	unsigned int threads;
	struct rq_flags rf;

	rq_lock_irqsave(rq, &rf);
	for (threads = 0; !found && threads <= !!balance_threads; threads++) {
		list_for_each_entry_reverse(p, &rq->cfs_tasks, se.group_node) {
			if (may_leave(p, home, threads)) {
				found = get_task_struct(p);
				break;
			}
		}
	}
	rq_unlock_irqrestore(rq, &rf);
	return found;
}

/* Gives one waiting task away; false: none may go, or nowhere to go. */
static bool give_one(int home)
{
	struct task_struct *p = NULL;
	bool moved = false;
	int cpu, to;

	for_each_cpu_and(cpu, cpumask_of_node(home), cpu_online_mask) {
		if (READ_ONCE(cpu_rq(cpu)->nr_running) < 2)
			continue;
		p = waiting_task(cpu, home);
		if (p)
			break;
	}
	if (!p)
		return false;
	to = idle_cpu_elsewhere(p, home);
	if (to >= 0)
		moved = move_task(p, to);
	put_task_struct(p);
	return moved;
}

static void balance(struct work_struct *work)
{
	struct node_placement *np = container_of(work, struct node_placement, work.work);
	unsigned int ms = READ_ONCE(balance_ms);
	int home = np - placements;
	unsigned int waiting = surplus_of(home);

	if (waiting)
		waiting--;	/* ourselves */
	WRITE_ONCE(np->busy_looks, waiting ? min(np->busy_looks + 1, BUSY_LOOKS) : 0);
	for (; ms && np->busy_looks == BUSY_LOOKS && waiting && give_one(home); waiting--)
		np->moved_balance++;
	queue_delayed_work_on(cpumask_first(cpumask_of_node(home)), system_wq, &np->work,
			      msecs_to_jiffies(ms ?: OFF_LOOK_MS));
}

/* Deferrable: a node that idles is not woken for this. */
static void __init balance_setup(void)
{
	int node;

	for_each_online_node(node) {
		int cpu = cpumask_first_and(cpumask_of_node(node), cpu_online_mask);

		if (cpu >= nr_cpu_ids)
			continue;
		INIT_DEFERRABLE_WORK(&placements[node].work, balance);
		queue_delayed_work_on(cpu, system_wq, &placements[node].work, 1);
	}
}

#define UINT_ATTR(name, variable)							\
static ssize_t name##_show(struct kobject *k, struct kobj_attribute *a, char *buf)	\
{											\
	return sysfs_emit(buf, "%u\n", READ_ONCE(variable));				\
}											\
static ssize_t name##_store(struct kobject *k, struct kobj_attribute *a,		\
			    const char *buf, size_t count)				\
{											\
	return kstrtouint(buf, 0, &variable) ?: count;					\
}											\
static struct kobj_attribute name##_attr = __ATTR_RW(name)

UINT_ATTR(exec, pando_place_exec_on);
UINT_ATTR(fork, pando_place_fork_on);
UINT_ATTR(balance_ms, balance_ms);
UINT_ATTR(balance_threads, balance_threads);

static ssize_t moved_show(struct kobject *k, struct kobj_attribute *a, char *buf)
{
	ssize_t len = 0;
	int node;

	for_each_online_node(node)
		len += sysfs_emit_at(buf, len, "from node %d: exec %lu fork %lu balance %lu\n", node,
				     placements[node].moved_exec, placements[node].moved_fork,
				     placements[node].moved_balance);
	return len;
}
static struct kobj_attribute moved_attr = __ATTR_RO(moved);

static struct attribute *placement_attrs[] = {
	&exec_attr.attr, &fork_attr.attr, &balance_ms_attr.attr, &balance_threads_attr.attr,
	&moved_attr.attr, NULL,
};

static const struct attribute_group placement_group = { .attrs = placement_attrs };

int __init pando_placement_setup(struct kobject *parent)
{
	struct kobject *dir = kobject_create_and_add("placement", parent);

	if (!dir)
		return -ENOMEM;
	if (nr_online_nodes > 1)
		balance_setup();
	return sysfs_create_group(dir, &placement_group);
}
