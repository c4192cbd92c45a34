/* SPDX-License-Identifier: GPL-2.0 */
#ifndef PANDO_PLACEMENT_H
#define PANDO_PLACEMENT_H

#include <linux/compiler.h>
#include <linux/init.h>
#include <asm/unistd.h>

struct kobject;

enum pando_birth { PANDO_BIRTH_EXEC, PANDO_BIRTH_FORK };

extern unsigned int pando_place_exec_on, pando_place_fork_on;

void pando_place_current(enum pando_birth birth);
void pando_placement_tick(void);
int __init pando_placement_setup(struct kobject *parent);

static inline void pando_place_syscall(int nr)
{
	if (unlikely(nr == __NR_execve || nr == __NR_execveat) && READ_ONCE(pando_place_exec_on))
		pando_place_current(PANDO_BIRTH_EXEC);
}

#endif
