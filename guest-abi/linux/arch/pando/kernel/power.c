// SPDX-License-Identifier: GPL-2.0
/* The ways to the end: power-off, reboot, halt, panic. */
#include <linux/init.h>
#include <linux/panic.h>
#include <linux/pm.h>
#include <linux/reboot.h>
#include <asm/hcall.h>
#include "pando.h"

/* Code of a power-off: set through /sys/hypervisor/pando/exit_status. */
u8 pando_exit_status;

void __noreturn pando_power(long kind, long code)
{
	hcall2(PANDO_HC_POWER, kind, code);
	for (;;)
		pando_stop_this_cpu();
}

void machine_power_off(void)
{
	pando_power(PANDO_POWER_OFF, pando_exit_status);
}
void (*pm_power_off)(void) = machine_power_off;

void machine_halt(void)
{
	pando_power(PANDO_POWER_HALT, pando_exit_status);
}

/* Also where panic() ends (CONFIG_PANIC_TIMEOUT=-1), after the console has been flushed. */
void machine_restart(char *cmd)
{
	if (atomic_read(&panic_cpu) != PANIC_CPU_INVALID)
		pando_power(PANDO_POWER_PANIC, 1);
	pando_power(PANDO_POWER_REBOOT, 0);
}
