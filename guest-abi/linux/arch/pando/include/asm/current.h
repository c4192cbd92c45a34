/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_PANDO_CURRENT_H
#define _ASM_PANDO_CURRENT_H
#ifndef __ASSEMBLY__
#include <linux/stringify.h>
#include <guest_abi/vcpu.h>
struct task_struct;
/* Not volatile: it changes only where the stack does. */
static __always_inline struct task_struct *get_current(void)
{
	struct task_struct *t;

	asm("movq %%gs:" __stringify(PANDO_VB_CURRENT) ",%0" : "=r" (t));
	return t;
}
#define current get_current()
register unsigned long current_stack_pointer asm("rsp");
#endif
#endif
