/* SPDX-License-Identifier: ISC */
/*
 * console.c - what people read: COM1, and the VGA text screen if there is
 * one; and the kernel's printf.
 */
#include <string.h>

#include "metal.h"

#define COM1		0x3f8
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

/* Appends to a buffer, or to the console when it is NULL. */
static void
put(char **buf, const char *s, size_t n)
{
	if (*buf == NULL)
		console_write(s, n);
	else {
		memcpy(*buf, s, n);
		*buf += n;
		**buf = '\0';
	}
}

/* A number of at least `width` (at most 32) digits, filled with `pad`. */
static void
put_number(char **buf, uint64_t v, unsigned int base, bool neg, bool alt,
    int width, char pad)
{
	char text[40], *p = text + sizeof(text), *end = p;

	do
		*--p = "0123456789abcdef"[v % base];
	while ((v /= base) != 0);
	while (end - p < width)
		*--p = pad;
	if (alt) {
		*--p = 'x';
		*--p = '0';
	}
	if (neg)
		*--p = '-';
	put(buf, p, end - p);
}

/* %d %u %x %p %s %c %%, with #, 0 and width for numbers, and l ll z. */
static void
format(char **buf, const char *f, va_list ap)
{
	for (; *f != '\0'; f++) {
		bool alt = false, wide = false, neg = false;
		const char *s = f;
		char pad = ' ', c;
		int width = 0;
		uint64_t v;

		if (*f != '%') {
			while (f[1] != '\0' && f[1] != '%')
				f++;
			put(buf, s, f + 1 - s);
			continue;
		}
		if (*++f == '#')
			alt = *f++;
		if (*f == '0')
			pad = *f++;
		for (; *f >= '0' && *f <= '9'; f++)
			width = width * 10 + *f - '0';
		for (; *f == 'l' || *f == 'z'; f++)
			wide = true;
		switch (*f) {
		case 's':
			s = va_arg(ap, const char *);
			put(buf, s, strnlen(s, SIZE_MAX));
			break;
		case 'c':
			c = va_arg(ap, int);
			put(buf, &c, 1);
			break;
		case 'd':
			v = wide ? va_arg(ap, int64_t) : va_arg(ap, int);
			neg = (int64_t)v < 0;
			put_number(buf, neg ? -v : v, 10, neg, false, width,
			    pad);
			break;
		case 'p':
			wide = alt = true;
			/* FALLTHROUGH */
		case 'u':
		case 'x':
			v = wide ? va_arg(ap, uint64_t) : va_arg(ap, uint32_t);
			put_number(buf, v, *f == 'u' ? 10 : 16, false, alt,
			    width, pad);
			break;
		default:
			put(buf, f, 1);
		}
	}
}

/* To the console. */
void
kvprintf(const char *fmt, va_list ap)
{
	char *console = NULL;

	format(&console, fmt, ap);
}

void
kprintf(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	kvprintf(fmt, ap);
	va_end(ap);
}

/* To a buffer that is large enough. Returns: the length. */
size_t
ksprintf(char *buf, const char *fmt, ...)
{
	char *p = buf;
	va_list ap;

	va_start(ap, fmt);
	format(&p, fmt, ap);
	va_end(ap);
	return (p - buf);
}
