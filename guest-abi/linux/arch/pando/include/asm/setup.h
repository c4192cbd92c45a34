/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_PANDO_SETUP_H
#define _ASM_PANDO_SETUP_H
#include <guest_abi/layout.h>
/* What the VMM accepts, behind our own defaults (kernel/setup.c). */
#define COMMAND_LINE_SIZE	(PANDO_CMDLINE_MAX + 512)
#endif
