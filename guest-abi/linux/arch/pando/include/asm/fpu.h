/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The vector and x87 state of a user task: an xsave image in the standard (not compacted) format, laid out as in
 * x86-64 signal frames, magic numbers included.  The kernel itself never has any such state.
 */
#ifndef _ASM_PANDO_FPU_H
#define _ASM_PANDO_FPU_H

#include <linux/types.h>

struct task_struct;

void pando_fpu_setup(u32 bytes, u64 xfeatures);

/* Bytes of the image with its trailing magic number; without it: pando_xstate_bytes(). */
u32 pando_fpu_bytes(void);
u32 pando_xstate_bytes(void);
u64 pando_xfeatures(void);

int fpu_copy(struct task_struct *to, const struct task_struct *from);
void fpu_reset(struct task_struct *t);
void fpu_free(struct task_struct *t);

/* Image to a signal frame and back; both return 0 or -EFAULT, restoring refuses malformed images. */
int fpu_save_to_user(void __user *to);
int fpu_restore_from_user(const void __user *from);

/* A debugger has changed the image: what the processor would refuse is refused with -EINVAL. */
int fpu_check(u8 *image);

#endif
