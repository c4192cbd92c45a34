// SPDX-License-Identifier: GPL-2.0
/* /proc/cpuinfo in x86's format: programs look for their instructions there.  Each CPU tells of its own host. */
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/seq_file.h>
#include <linux/topology.h>
#include "pando.h"

/* Generated from x86's cpufeatures.h, 32 names for each feature word; we fill these words of them. */
extern const char * const x86_cap_flags[];
#define CAP_WORDS	19

struct pando_cpuinfo {
	char vendor[13];
	char model_name[49];
	u32 signature;			/* family, model, stepping as in CPUID 1 */
	u32 cap[CAP_WORDS];
};

static DEFINE_PER_CPU(struct pando_cpuinfo, cpuinfo);

/* Where the feature words of cpufeatures.h come from; words that Linux makes up itself are left out. */
static const struct {
	u32 leaf, subleaf, reg;		/* reg: 0 eax .. 3 edx */
	int word;
} sources[] = {
	{ 0x00000001, 0, 3, 0 },	{ 0x80000001, 0, 3, 1 },
	{ 0x00000001, 0, 2, 4 },	{ 0x80000001, 0, 2, 6 },
	{ 0x00000007, 0, 1, 9 },	{ 0x0000000d, 1, 0, 10 },
	{ 0x00000007, 1, 0, 12 },	{ 0x80000008, 0, 1, 13 },
	{ 0x00000007, 0, 2, 16 },	{ 0x00000007, 0, 3, 18 },
};

static void cpuid(u32 leaf, u32 subleaf, u32 r[4])
{
	asm volatile("cpuid" : "=a" (r[0]), "=b" (r[1]), "=c" (r[2]), "=d" (r[3])
		     : "0" (leaf), "2" (subleaf));
}

static u32 last_leaf(u32 base)
{
	u32 r[4];

	cpuid(base, 0, r);
	return r[0];
}

/* On the CPU itself, when it comes up. */
void pando_cpuinfo_store(void)
{
	struct pando_cpuinfo *c = per_cpu_ptr(&cpuinfo, raw_smp_processor_id());
	u32 r[4], basic = last_leaf(0), extended = last_leaf(0x80000000), i;

	cpuid(0, 0, r);
	memcpy(c->vendor, &r[1], 4);
	memcpy(c->vendor + 4, &r[3], 4);
	memcpy(c->vendor + 8, &r[2], 4);
	cpuid(1, 0, r);
	c->signature = r[0];
	for (i = 0; extended >= 0x80000004 && i < 3; i++) {
		cpuid(0x80000002 + i, 0, r);
		memcpy(c->model_name + 16 * i, r, 16);
	}
	for (i = 0; i < ARRAY_SIZE(sources); i++) {
		if (sources[i].leaf > (sources[i].leaf & 0x80000000 ? extended : basic))
			continue;
		cpuid(sources[i].leaf, sources[i].subleaf, r);
		c->cap[sources[i].word] = r[sources[i].reg];
	}
}

static u32 family(u32 signature)
{
	u32 f = (signature >> 8) & 15;

	return f == 15 ? f + ((signature >> 20) & 0xff) : f;
}

static u32 model(u32 signature)
{
	return ((signature >> 4) & 15) | ((signature >> 12) & 0xf0);
}

static int show(struct seq_file *m, void *v)
{
	int cpu = (long)v - 1, bit;
	const struct pando_cpuinfo *c = per_cpu_ptr(&cpuinfo, cpu);

	seq_printf(m, "processor\t: %d\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\n", cpu,
		   c->vendor, family(c->signature), model(c->signature));
	seq_printf(m, "model name\t: %s\nstepping\t: %u\n", c->model_name, c->signature & 15);
	seq_printf(m, "physical id\t: %d\nsiblings\t: %u\ncore id\t\t: %d\ncpu cores\t: %u\n",
		   cpu_to_node(cpu), cpumask_weight(cpumask_of_node(cpu_to_node(cpu))), cpu,
		   cpumask_weight(cpumask_of_node(cpu_to_node(cpu))));
	seq_puts(m, "fpu\t\t: yes\nfpu_exception\t: yes\nflags\t\t:");
	for (bit = 0; bit < CAP_WORDS * 32; bit++)
		if (c->cap[bit / 32] & BIT(bit % 32) && x86_cap_flags[bit])
			seq_printf(m, " %s", x86_cap_flags[bit]);
	seq_printf(m, "\nbogomips\t: %lu.%02lu\nclflush size\t: 64\n", loops_per_jiffy / (500000 / HZ),
		   loops_per_jiffy / (5000 / HZ) % 100);
	seq_puts(m, "address sizes\t: 40 bits physical, 48 bits virtual\n\n");
	return 0;
}

static void *start(struct seq_file *m, loff_t *pos)
{
	*pos = cpumask_next(*pos - 1, cpu_online_mask);
	return *pos < nr_cpu_ids ? (void *)(long)(*pos + 1) : NULL;
}

static void *next(struct seq_file *m, void *v, loff_t *pos)
{
	++*pos;
	return start(m, pos);
}

static void stop(struct seq_file *m, void *v)
{
}

const struct seq_operations cpuinfo_op = {
	.start = start, .next = next, .stop = stop, .show = show,
};
