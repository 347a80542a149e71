/* SPDX-License-Identifier: ISC */
/*
 * console.c - what people read: COM1, and the VGA text screen if there is
 * one; the kernel's printf; and what people type, on COM1. Characters go to
 * the client as they come in, echoed if it asked for that; editing lines is
 * the client's work.
 */
#include "metal.h"

#define COM_FIFO	16
#define VGA_TEXT	0xb8000
#define VGA_COLS	80
#define VGA_SIZE	(VGA_COLS * 25)
#define VGA_ATTR	0x0700

static volatile uint16_t *vga;		/* NULL: no screen */
static unsigned int vga_pos;

/*
 * 115200 8N1, FIFOs on, an interrupt for each byte that comes in. Nothing
 * adds a CR to a newline but the terminal at the other end.
 */
void
console_init(void)
{
	/* Register, value: the divisor is behind DLAB (LCR 0x80); MCR has
	   DTR, RTS and OUT2, which lets interrupts through. */
	static const uint8_t init[][2] = {
		{ 3, 0x80 }, { 0, 1 }, { 1, 0 }, { 3, 3 }, { 2, 7 }, { 4, 0xb },
		{ 1, 1 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(init); i++)
		out8(COM1 + init[i][0], init[i][1]);

	vga = va_of(VGA_TEXT);
	vga[0] = 0x55aa;
	if (vga[0] != 0x55aa) {
		vga = NULL;
		return;
	}
	for (i = 0; i < VGA_SIZE; i++)
		vga[i] = VGA_ATTR | ' ';
}

/* Scrolls when the screen is full. */
static void
vga_putc(char c)
{
	unsigned int i, col = vga_pos % VGA_COLS;

	if (c == '\n')
		vga_pos += VGA_COLS - col;
	else if (c == '\r' || (c == '\b' && col > 0))
		vga_pos -= c == '\r' ? col : 1;
	else
		vga[vga_pos++] = VGA_ATTR | (uint8_t)c;
	if (vga_pos < VGA_SIZE)
		return;
	vga_pos -= VGA_COLS;
	for (i = 0; i < VGA_SIZE; i++)
		vga[i] = i < vga_pos ? vga[i + VGA_COLS] : VGA_ATTR | ' ';
}

/* Polled; from any context. Waits once for each FIFO full. */
void
console_write(const char *s, size_t n)
{
	static unsigned int sent;

	for (; n > 0; n--, s++) {
		if (sent++ % COM_FIFO == 0)
			while ((in8(COM1 + 5) & 0x20) == 0)
				;
		out8(COM1, *s);
		if (vga != NULL)
			vga_putc(*s);
	}
}

/* Text being made; what is too much is cut off. */
struct text {
	char	*buf;
	size_t	 len;
};

/* Appends. */
static void
put(struct text *t, const char *s, size_t n)
{
	n = min(n, LINE_MAX - 1 - t->len);
	memcpy(t->buf + t->len, s, n);
	t->len += n;
}

/* A number of at least `width` (at most 32) digits, filled with `pad`. */
static void
put_number(struct text *t, uint64_t v, unsigned int base, int width, char pad)
{
	char digits[64], *p = digits + sizeof(digits), *end = p;

	do
		*--p = "0123456789abcdef"[v % base];
	while ((v /= base) != 0);
	while (end - p < width)
		*--p = pad;
	put(t, p, end - p);
}

/* %d %u %x %s %%, with #, 0 and width for numbers, and l ll z. */
static size_t
format(char *buf, const char *f, va_list ap)
{
	struct text t = { buf, 0 };

	for (; *f != '\0'; f++) {
		const char *s;
		bool wide = false;
		char pad = ' ';
		int width = 0;
		uint64_t v;

		if (*f != '%') {
			put(&t, f, 1);
			continue;
		}
		if (*++f == '#') {
			put(&t, "0x", 2);
			f++;
		}
		if (*f == '0')
			pad = *f++;
		for (; *f >= '0' && *f <= '9'; f++)
			width = width * 10 + *f - '0';
		for (; *f == 'l' || *f == 'z'; f++)
			wide = true;
		switch (*f) {
		case 's':
			s = va_arg(ap, const char *);
			put(&t, s, strnlen(s, LINE_MAX));
			break;
		case 'd':
			v = wide ? va_arg(ap, int64_t) : va_arg(ap, int);
			if ((int64_t)v < 0)
				put(&t, "-", 1);
			put_number(&t, (int64_t)v < 0 ? -v : v, 10, width, pad);
			break;
		case 'u':
		case 'x':
			v = wide ? va_arg(ap, uint64_t) : va_arg(ap, uint32_t);
			put_number(&t, v, *f == 'u' ? 10 : 16, width, pad);
			break;
		default:
			put(&t, f, 1);
		}
	}
	buf[t.len] = '\0';
	return (t.len);
}

/* To the console. */
void
kvprintf(const char *fmt, va_list ap)
{
	char buf[LINE_MAX];

	console_write(buf, format(buf, fmt, ap));
}

/* To the console. */
void
kprintf(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	kvprintf(fmt, ap);
	va_end(ap);
}

/* To a buffer of LINE_MAX bytes. Returns: the length. */
size_t
ksprintf(char *buf, const char *fmt, ...)
{
	va_list ap;
	size_t len;

	va_start(ap, fmt);
	len = format(buf, fmt, ap);
	va_end(ap);
	return (len);
}

/* --- The terminal --- */

#define RING_SIZE	1024		/* a power of two */
#define CTRL_C		3

enum { TCGETS = 0x5401, TCSETS, TCSETSF = 0x5404, TIOCGWINSZ = 0x5413 };
enum { ICRNL = 0x100 /* c_iflag */, ISIG = 0x1, ECHO = 0x8 /* c_lflag */ };
struct termios {
	uint32_t	c_iflag, c_oflag, c_cflag, c_lflag;
	uint8_t		c_line, c_cc[19];
};

/* tty_irq() moves `in`, tty_input() `seen`, tty_read() `out`. */
static char ring[RING_SIZE];
static volatile unsigned int ring_in, ring_seen, ring_out;
static struct termios tio = { ICRNL, 0, 0, ISIG | ECHO, 0, { CTRL_C } };
char tty_chan;

/* COM1 has bytes: keep them. What does not fit is lost. */
void
tty_irq(void)
{
	char c;

	while ((in8(COM1 + 5) & 1) != 0) {
		c = in8(COM1);
		if (ring_in - ring_out < RING_SIZE)
			ring[ring_in++ % RING_SIZE] = c;
	}
}

/* Looks at what has come in; the scheduler calls this. Wakes readers. */
void
tty_input(void)
{
	char *c;

	if (ring_seen == ring_in)
		return;
	for (; ring_seen != ring_in; ring_seen++) {
		c = &ring[ring_seen % RING_SIZE];
		if (*c == '\r' && (tio.c_iflag & ICRNL) != 0)
			*c = '\n';
		if ((tio.c_lflag & ECHO) != 0)
			console_write(c, 1);
		if (*c == CTRL_C && (tio.c_lflag & ISIG) != 0)
			signal_send(NULL, SIGINT);
	}
	wakeup(&tty_chan, INT32_MAX, NULL);
}

/* Something can be read. */
bool
tty_ready(void)
{
	return (ring_out != ring_seen);
}

/* Returns: bytes, at most a line; -ERESTART, -EFAULT. */
long
tty_read(uint64_t uaddr, size_t n)
{
	size_t len = 0;
	char c = 0;

	while (!tty_ready())
		if (sleep_on(&tty_chan, 0, true) == EINTR)
			return (-ERESTART);
	for (; len < n && c != '\n' && tty_ready(); len++) {
		c = ring[ring_out % RING_SIZE];
		if (host_copyout(&c, uaddr + len, 1) != 0)
			return (-EFAULT);
		ring_out++;
	}
	return (len);
}

/* The terminal's own ioctls. */
long
tty_ioctl(uint32_t cmd, uint64_t arg)
{
	static const uint16_t winsize[4] = { 25, 80 };

	switch (cmd) {
	case TCGETS:
		return (-host_copyout(&tio, arg, sizeof(tio)));
	case TCSETS ... TCSETSF:
		return (-host_copyin(arg, &tio, sizeof(tio)));
	case TIOCGWINSZ:
		return (-host_copyout(winsize, arg, sizeof(winsize)));
	}
	return (-ENOTTY);
}
