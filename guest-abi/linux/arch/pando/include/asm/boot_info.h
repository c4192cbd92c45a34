/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_PANDO_BOOT_INFO_H
#define _ASM_PANDO_BOOT_INFO_H

#include <guest_abi/boot.h>

/* The kernel's copy, checked by pando_start_kernel(); never written afterwards. */
extern struct pando_boot pando_boot;

#endif
