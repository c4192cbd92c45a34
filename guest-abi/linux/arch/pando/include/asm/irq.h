/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_PANDO_IRQ_H
#define _ASM_PANDO_IRQ_H
#include <guest_abi/vcpu.h>

#define NR_IRQS PANDO_VEC_MAX

#include <asm-generic/irq.h>
#endif
