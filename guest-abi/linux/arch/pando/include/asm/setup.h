/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_PANDO_SETUP_H
#define _ASM_PANDO_SETUP_H
#include <guest_abi/layout.h>
#define COMMAND_LINE_SIZE	PANDO_CMDLINE_MAX
#endif
