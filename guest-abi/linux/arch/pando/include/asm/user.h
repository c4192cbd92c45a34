/* SPDX-License-Identifier: GPL-2.0 */
/* struct user, the map of PTRACE_PEEKUSER: x86-64's. */
#ifndef _ASM_PANDO_USER_H
#define _ASM_PANDO_USER_H
#include <asm/types.h>
#include <asm/page.h>
#include "../../../x86/include/asm/user_64.h"
#endif
