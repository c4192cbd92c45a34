// SPDX-License-Identifier: GPL-2.0
/* Contract: asm/fpu.h. */
#include <linux/init.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/fpu.h>
#include <asm/processor.h>
#include <guest_abi/boot.h>
#include <uapi/asm/sigcontext.h>

#define FCW_INIT	0x37f
#define MXCSR_INIT	0x1f80
#define MXCSR_VALID	0xffffU
#define XFEATURES_LEGACY 3	/* x87 and SSE: in the first 512 bytes */

/* Head of the image: 512 bytes of FXSAVE and the xsave header. */
struct image_head {
	struct _fpstate_64 fx;
	struct _header hdr;	/* xfeatures, reserved1 = {xcomp_bv, 0}, reserved2 */
};

#define HEAD_BYTES	sizeof(struct image_head)

static u32 fpu_bytes __ro_after_init;
static u64 fpu_xfeatures __ro_after_init;
static u8 fpu_init[PANDO_FPU_MAX] __aligned(64) __ro_after_init;

u32 pando_fpu_bytes(void)
{
	return fpu_bytes;
}

u32 pando_xstate_bytes(void)
{
	return fpu_bytes - FP_XSTATE_MAGIC2_SIZE;
}

u64 pando_xfeatures(void)
{
	return fpu_xfeatures;
}

/* The words that only software reads: what the image contains and how long it is. */
static void describe(u8 *image)
{
	struct image_head *h = (struct image_head *)image;
	u32 magic2 = FP_XSTATE_MAGIC2;

	memset(&h->fx.sw_reserved, 0, sizeof(h->fx.sw_reserved));
	h->fx.sw_reserved.magic1 = FP_XSTATE_MAGIC1;
	h->fx.sw_reserved.extended_size = fpu_bytes;
	h->fx.sw_reserved.xfeatures = fpu_xfeatures;
	h->fx.sw_reserved.xstate_size = pando_xstate_bytes();
	memcpy(image + pando_xstate_bytes(), &magic2, sizeof(magic2));
}

/* The state of a fresh program: all components in their initial state. */
void __init pando_fpu_setup(u32 bytes, u64 xfeatures)
{
	struct image_head *h = (struct image_head *)fpu_init;

	BUILD_BUG_ON(HEAD_BYTES != 576);
	fpu_bytes = bytes;
	fpu_xfeatures = xfeatures | XFEATURES_LEGACY;
	h->fx.cwd = FCW_INIT;
	h->fx.mxcsr = MXCSR_INIT;
	h->fx.mxcsr_mask = MXCSR_VALID;
	describe(fpu_init);
}

int fpu_copy(struct task_struct *to, const struct task_struct *from)
{
	to->thread.fpu = kmalloc(fpu_bytes, GFP_KERNEL_ACCOUNT);
	if (!to->thread.fpu)
		return -ENOMEM;
	memcpy(to->thread.fpu, from->thread.fpu ?: fpu_init, fpu_bytes);
	return 0;
}

void fpu_reset(struct task_struct *t)
{
	if (!t->thread.fpu)
		t->thread.fpu = kmalloc(fpu_bytes, GFP_KERNEL | __GFP_NOFAIL);
	memcpy(t->thread.fpu, fpu_init, fpu_bytes);
}

void fpu_free(struct task_struct *t)
{
	kfree(t->thread.fpu);
	t->thread.fpu = NULL;
}

int fpu_save_to_user(void __user *to)
{
	describe(current->thread.fpu);
	return copy_to_user(to, current->thread.fpu, fpu_bytes) ? -EFAULT : 0;
}

int fpu_check(u8 *image)
{
	struct image_head *h = (struct image_head *)image;

	if (h->fx.mxcsr & ~MXCSR_VALID || h->hdr.xfeatures & ~fpu_xfeatures)
		return -EINVAL;
	if (memchr_inv(h->hdr.reserved1, 0, sizeof(h->hdr.reserved1)) ||
	    memchr_inv(h->hdr.reserved2, 0, sizeof(h->hdr.reserved2)))
		return -EINVAL;
	return 0;
}

/* Bytes of xsave state that the frame really has; 0: a frame of the FXSAVE days. */
static u32 frame_bytes(const struct _fpx_sw_bytes *sw, const void __user *from)
{
	u32 magic2;

	if (sw->magic1 != FP_XSTATE_MAGIC1 || sw->xstate_size < HEAD_BYTES ||
	    sw->xstate_size > pando_xstate_bytes() || sw->extended_size > fpu_bytes ||
	    sw->xstate_size > sw->extended_size)
		return 0;
	if (get_user(magic2, (const u32 __user *)(from + sw->xstate_size)) ||
	    magic2 != FP_XSTATE_MAGIC2)
		return 0;
	return sw->xstate_size;
}

/*
 * User memory may change under our eyes: the head is fetched once, checked, and put in place last.  On failure the
 * task has a fresh state, and gets SIGSEGV from the caller.
 */
int fpu_restore_from_user(const void __user *from)
{
	u8 *image = current->thread.fpu;
	struct image_head head;
	u32 bytes;

	fpu_reset(current);
	if (copy_from_user(&head, from, sizeof(head.fx)))
		return -EFAULT;
	bytes = frame_bytes(&head.fx.sw_reserved, from);
	if (bytes) {
		if (copy_from_user(&head.hdr, from + sizeof(head.fx), sizeof(head.hdr)))
			return -EFAULT;
		head.hdr.xfeatures &= head.fx.sw_reserved.xfeatures;
	} else {
		memset(&head.hdr, 0, sizeof(head.hdr));
		head.hdr.xfeatures = XFEATURES_LEGACY;
		bytes = HEAD_BYTES;
	}
	head.hdr.xfeatures &= fpu_xfeatures;
	if (fpu_check((u8 *)&head))
		return -EFAULT;
	if (copy_from_user(image + HEAD_BYTES, from + HEAD_BYTES, bytes - HEAD_BYTES))
		return -EFAULT;
	memcpy(image, &head, HEAD_BYTES);
	describe(image);
	return 0;
}
