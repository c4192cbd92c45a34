// SPDX-License-Identifier: GPL-2.0
/*
 * hvc0: system console; hvc1 and hvc2: standard input, output and error of `pando run`.  Input comes with an
 * interrupt, so an idle console costs nothing; output that the host does not take at once is tried again by khvcd.
 */
#include <linux/console.h>
#include <linux/err.h>
#include <linux/init.h>
#include <linux/interrupt.h>
#include <asm/hcall.h>
#include "../../../drivers/tty/hvc/hvc_console.h"
#include "pando.h"

#define OUTBUF_BYTES	1024

static ssize_t put_chars(u32 port, const u8 *buf, size_t count)
{
	return hcall3(PANDO_HC_CONSOLE_WRITE, port, buf, count);
}

static ssize_t get_chars(u32 port, u8 *buf, size_t count)
{
	return hcall3(PANDO_HC_CONSOLE_READ, port, buf, count);
}

/* Input of `pando run` may wait already when a port is opened: no line editing, no echo, from the first byte on. */
static void make_raw(struct hvc_struct *hp)
{
	struct tty_struct *tty = tty_port_tty_get(&hp->port);
	struct ktermios raw;

	if (!tty)
		return;
	raw = tty->termios;
	raw.c_iflag = 0;
	raw.c_oflag = 0;
	raw.c_lflag = 0;
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	tty_set_termios(tty, &raw);
	tty_kref_put(tty);
}

static int add_irq(struct hvc_struct *hp, int irq)
{
	if (hp->vtermno != PANDO_PORT_CONSOLE)
		make_raw(hp);
	hp->flags = IRQF_SHARED;	/* one vector for all ports */
	return notifier_add_irq(hp, irq);
}

static const struct hv_ops ops = {
	.put_chars = put_chars,
	.get_chars = get_chars,
	.notifier_add = add_irq,
	.notifier_del = notifier_del_irq,
	.notifier_hangup = notifier_hangup_irq,
};

static void early_write(struct console *con, const char *s, unsigned int count)
{
	while (count) {
		long n = hcall3(PANDO_HC_CONSOLE_WRITE, PANDO_PORT_CONSOLE, s, count);

		if (n <= 0 || n > count)
			return;
		s += n;
		count -= n;
	}
}

/* From the first printk until hvc0 takes over. */
static struct console boot_console = {
	.name = "pandoboot",
	.write = early_write,
	.flags = CON_PRINTBUFFER | CON_BOOT | CON_ANYTIME,
	.index = -1,
};

void __init pando_early_console(void)
{
	register_console(&boot_console);
}

static int __init console_setup(void)
{
	int err = hvc_instantiate(PANDO_PORT_CONSOLE, 0, &ops);

	if (!err)
		add_preferred_console("hvc", 0, NULL);
	return err;
}
console_initcall(console_setup);

static int __init ports_setup(void)
{
	u32 port;

	for (port = 0; port < PANDO_PORTS; port++) {
		struct hvc_struct *hp = hvc_alloc(port, PANDO_VEC_CONSOLE, &ops, OUTBUF_BYTES);

		if (IS_ERR(hp))
			return PTR_ERR(hp);
	}
	return 0;
}
device_initcall(ports_setup);
