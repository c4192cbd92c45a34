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
 * that wakes for a moment moves nobody.  The balancer is called by the tick of a CPU that has tasks waiting: a node
 * that idles is never woken for it.  Only an overloaded node looks at the others (that fetches their run queues'
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
#include <asm/boot_info.h>
#include "../../../kernel/sched/sched.h"
#include "pando.h"
#include "placement.h"

#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "pando."

#define LOOK_PAUSE_MS	100
#define BUSY_LOOKS	2

unsigned int pando_place_exec_on __read_mostly = 1, pando_place_fork_on __read_mostly;
static unsigned int balance_ms __read_mostly = 200;
static unsigned int balance_threads __read_mostly = 1;

module_param_named(exec, pando_place_exec_on, uint, 0);
module_param_named(fork, pando_place_fork_on, uint, 0);
module_param(balance_ms, uint, 0);
module_param(balance_threads, uint, 0);

/* Of one node, used by its CPUs alone. */
struct node_placement {
	struct work_struct work;
	unsigned long look_after;	/* jiffies: at other nodes */
	unsigned long looked;		/* jiffies: the last look of the balancer */
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

/* Was the node overloaded at the last looks, and is that not long ago? */
static bool lasting_overload(const struct node_placement *np)
{
	return READ_ONCE(np->busy_looks) >= BUSY_LOOKS &&
	       time_before(jiffies, READ_ONCE(np->looked) + 2 * msecs_to_jiffies(READ_ONCE(balance_ms)) + 1);
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

	if (pando_boot.node_count == 1 || !lasting_overload(&placements[home]) || !surplus_of(home))
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
	struct node_placement *np = container_of(work, struct node_placement, work);
	int home = np - placements;
	unsigned int waiting = surplus_of(home);

	if (waiting)
		waiting--;	/* ourselves */
	WRITE_ONCE(np->busy_looks, waiting ? min(np->busy_looks + 1, BUSY_LOOKS) : 0);
	for (; np->busy_looks == BUSY_LOOKS && waiting && give_one(home); waiting--)
		np->moved_balance++;
}

/* From the tick, interrupts off. */
void pando_placement_tick(void)
{
	struct node_placement *np = &placements[numa_node_id()];
	unsigned int ms = READ_ONCE(balance_ms);
	unsigned long now;

	if (pando_boot.node_count == 1 || !ms || READ_ONCE(this_rq()->nr_running) < 2 || !np->work.func)
		return;
	now = jiffies;
	if (time_before(now, READ_ONCE(np->looked) + msecs_to_jiffies(ms)))
		return;
	/* a break in the looks: the overload has not lasted */
	if (!time_before(now, READ_ONCE(np->looked) + 2 * msecs_to_jiffies(ms) + 1))
		WRITE_ONCE(np->busy_looks, 0);
	WRITE_ONCE(np->looked, now);
	queue_work_on(smp_processor_id(), system_wq, &np->work);
}

/*
 * The deadline server, which protects fair tasks against real-time ones, keeps a timer of a second running after each
 * wake-up, and the tick that comes with it finds something that was deferred to the next tick: a node would never
 * come to rest.  Without it real-time tasks may take all of a CPU, as where kernel.sched_rt_runtime_us is -1.
 */
static long __init end_fair_server(void *unused)
{
	struct rq *rq = this_rq();
	struct rq_flags rf;

	rq_lock_irqsave(rq, &rf);
	update_rq_clock(rq);
	if (rq->fair_server.dl_server) {
		dl_server_stop(&rq->fair_server);
		dl_server_apply_params(&rq->fair_server, 0, NSEC_PER_SEC, 0);
	}
	rq_unlock_irqrestore(rq, &rf);
	return 0;
}

static void __init balance_setup(void)
{
	int node, cpu;

	for_each_online_cpu(cpu)
		work_on_cpu(cpu, end_fair_server, NULL);
	for_each_online_node(node) {
		placements[node].looked = jiffies;
		INIT_WORK(&placements[node].work, balance);
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
