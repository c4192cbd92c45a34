// SPDX-License-Identifier: GPL-2.0
/* Clock source, clock events and delays, all served by the VMM; the clock is the same on all nodes. */
#include <linux/clockchips.h>
#include <linux/clocksource.h>
#include <linux/delay.h>
#include <linux/init.h>
#include <linux/percpu.h>
#include <linux/sched/clock.h>
#include <linux/timekeeping.h>
#include <asm/boot_info.h>
#include <asm/hcall.h>
#include "pando.h"
#include "placement.h"

static DEFINE_PER_CPU(struct clock_event_device, clock_event);

static __always_inline u64 monotonic_ns(void)
{
	unsigned long flags = arch_local_irq_save();
	u64 ns = __pando_hcall(PANDO_HC_CLOCK, PANDO_CLOCK_MONOTONIC, 0, 0, 0, 0);

	arch_local_irq_restore(flags);
	return ns;
}

static u64 clocksource_read(struct clocksource *cs)
{
	return monotonic_ns();
}

static struct clocksource pando_clocksource = {
	.name = "pando",
	.rating = 400,
	.read = clocksource_read,
	.mask = CLOCKSOURCE_MASK(64),
	.flags = CLOCK_SOURCE_IS_CONTINUOUS | CLOCK_SOURCE_VALID_FOR_HRES,
};

unsigned long long noinstr sched_clock(void)
{
	return monotonic_ns();
}

static int set_next_event(unsigned long delta_ns, struct clock_event_device *evt)
{
	hcall1(PANDO_HC_TIMER, delta_ns ?: 1);
	return 0;
}

static int shutdown(struct clock_event_device *evt)
{
	hcall1(PANDO_HC_TIMER, 0);
	return 0;
}

void pando_timer_interrupt(void)
{
	struct clock_event_device *evt = this_cpu_ptr(&clock_event);

	if (evt->event_handler)
		evt->event_handler(evt);
	pando_placement_tick();
}

void pando_timer_setup(void)
{
	struct clock_event_device *evt = this_cpu_ptr(&clock_event);

	evt->name = "pando";
	evt->features = CLOCK_EVT_FEAT_ONESHOT;
	evt->rating = 400;
	evt->cpumask = cpumask_of(smp_processor_id());
	evt->set_next_event = set_next_event;
	evt->set_state_shutdown = shutdown;
	evt->set_state_oneshot_stopped = shutdown;
	clockevents_config_and_register(evt, NSEC_PER_SEC, 1000, 1UL << 40);
}

void __init time_init(void)
{
	clocksource_register_hz(&pando_clocksource, NSEC_PER_SEC);
	pando_timer_setup();
}

void read_persistent_clock64(struct timespec64 *ts)
{
	*ts = ns_to_timespec64(hcall1(PANDO_HC_CLOCK, PANDO_CLOCK_REALTIME));
}

/* The VMM has measured it and the cluster agreed on it; calibration would take half of the boot. */
unsigned long calibrate_delay_is_known(void)
{
	return pando_boot.loops_per_second / HZ;
}

void __delay(unsigned long loops)
{
	while (loops--)
		cpu_relax();
}

void __ndelay(unsigned long ns)
{
	u64 end = monotonic_ns() + ns;

	while ((s64)(monotonic_ns() - end) < 0)
		cpu_relax();
}

void __udelay(unsigned long us)
{
	__ndelay(us * NSEC_PER_USEC);
}

/* xloops: units of 2^-32 s */
void __const_udelay(unsigned long xloops)
{
	__ndelay(xloops * NSEC_PER_SEC >> 32);
}
