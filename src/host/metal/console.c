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
#define VGA_ROWS	25
#define VGA_ATTR	0x0700

static volatile uint16_t *vga;		/* NULL: no screen */
static unsigned int vga_pos;
static unsigned int serial_sent;	/* since THR was seen empty */

/*
 * 115200 8N1, FIFOs on, an interrupt for each byte that comes in. Nothing
 * adds a CR to a newline but the terminal at the other end.
 */
void
console_init(void)
{
	out8(COM1 + 1, 0);
	out8(COM1 + 3, 0x80);
	out8(COM1 + 0, 1);
	out8(COM1 + 1, 0);
	out8(COM1 + 3, 0x03);
	out8(COM1 + 2, 0x07);
	out8(COM1 + 4, 0x0b);		/* DTR, RTS, OUT2: interrupts */
	out8(COM1 + 1, 0x01);

	vga = va_of(VGA_TEXT);
	vga[0] = 0x0755;
	vga[1] = 0x07aa;
	if (vga[0] != 0x0755 || vga[1] != 0x07aa) {
		vga = NULL;
		return;
	}
	for (vga_pos = VGA_COLS * VGA_ROWS; vga_pos > 0; vga_pos--)
		vga[vga_pos - 1] = VGA_ATTR | ' ';
}

/* Waits for an empty FIFO once for each FIFO full. */
static void
serial_putc(char c)
{
	if (serial_sent++ % COM_FIFO == 0)
		while ((in8(COM1 + 5) & 0x20) == 0)
			__asm__ volatile("pause");
	out8(COM1, c);
}

static void
vga_putc(char c)
{
	unsigned int i;

	if (c == '\n')
		vga_pos += VGA_COLS - vga_pos % VGA_COLS;
	else if (c == '\r')
		vga_pos -= vga_pos % VGA_COLS;
	else if (c == '\b')
		vga_pos -= vga_pos % VGA_COLS != 0;
	else
		vga[vga_pos++] = VGA_ATTR | (uint8_t)c;
	if (vga_pos < VGA_COLS * VGA_ROWS)
		return;
	for (i = 0; i < VGA_COLS * (VGA_ROWS - 1); i++)
		vga[i] = vga[i + VGA_COLS];
	for (; i < VGA_COLS * VGA_ROWS; i++)
		vga[i] = VGA_ATTR | ' ';
	vga_pos -= VGA_COLS;
}

/* Polled; from any context. */
void
console_write(const char *s, size_t n)
{
	for (; n > 0; n--, s++) {
		serial_putc(*s);
		if (vga != NULL)
			vga_putc(*s);
	}
}

/* Where formatted text goes: a buffer, or the console when buf is NULL. */
struct sink {
	char	*buf;
	size_t	 size, len;
};

static void
sink_put(struct sink *s, char c)
{
	if (s->buf == NULL)
		console_write(&c, 1);
	else if (s->len + 1 < s->size)
		s->buf[s->len] = c;
	s->len++;
}

static void
sink_field(struct sink *s, const char *str, size_t len, size_t width,
    bool left, char pad)
{
	size_t i;

	for (i = len; !left && i < width; i++)
		sink_put(s, pad);
	for (i = 0; i < len; i++)
		sink_put(s, str[i]);
	for (i = len; left && i < width; i++)
		sink_put(s, ' ');
}

/* One number, with its sign, "0x" or leading zeroes. */
static void
sink_number(struct sink *s, uint64_t v, char conv, bool alt, size_t width,
    bool left, char pad)
{
	const char *digits = conv == 'X' ? "0123456789ABCDEF" :
	    "0123456789abcdef";
	unsigned int base = conv == 'd' || conv == 'u' ? 10 :
	    conv == 'o' ? 8 : 16;
	char buf[24], *p = buf + sizeof(buf);
	bool neg = conv == 'd' && (int64_t)v < 0;

	if (neg)
		v = -v;
	do
		*--p = digits[v % base];
	while ((v /= base) != 0);
	if (pad == '0' && !left)
		while ((size_t)(buf + sizeof(buf) - p) + neg + 2 * alt < width
		    && p > buf + 2)
			*--p = '0';
	if (alt) {
		*--p = 'x';
		*--p = '0';
	}
	if (neg)
		*--p = '-';
	sink_field(s, p, buf + sizeof(buf) - p, width, left, ' ');
}

/* The conversions d i u x X o p s c %, with flags - 0 #, width, .precision
 * of strings, and the sizes hh h l ll z j. */
static void
format(struct sink *s, const char *f, va_list ap)
{
	for (; *f != '\0'; f++) {
		size_t width = 0, prec = SIZE_MAX;
		bool left = false, alt = false;
		char pad = ' ', c;
		int size = 0;
		uint64_t v;

		if (*f != '%') {
			sink_put(s, *f);
			continue;
		}
		for (f++; *f == '-' || *f == '0' || *f == '#'; f++) {
			left |= *f == '-';
			alt |= *f == '#';
			pad = *f == '0' ? '0' : pad;
		}
		if (*f == '*') {
			width = va_arg(ap, int);
			f++;
		}
		for (; *f >= '0' && *f <= '9'; f++)
			width = width * 10 + *f - '0';
		if (*f == '.' && f[1] == '*') {
			prec = va_arg(ap, int);
			f += 2;
		} else if (*f == '.')
			for (prec = 0, f++; *f >= '0' && *f <= '9'; f++)
				prec = prec * 10 + *f - '0';
		for (; *f == 'l' || *f == 'z' || *f == 'j' || *f == 'h'; f++)
			size += *f == 'h' ? -1 : 1;
		switch (*f) {
		case 'd':
		case 'i':
			v = size > 0 ? va_arg(ap, int64_t) :
			    (uint64_t)va_arg(ap, int);
			sink_number(s, v, 'd', false, width, left, pad);
			break;
		case 'u':
		case 'x':
		case 'X':
		case 'o':
			v = size > 0 ? va_arg(ap, uint64_t) :
			    va_arg(ap, unsigned int);
			sink_number(s, v, *f, alt, width, left, pad);
			break;
		case 'p':
			v = (uint64_t)va_arg(ap, void *);
			sink_number(s, v, 'x', true, width, left, pad);
			break;
		case 's': {
			const char *str = va_arg(ap, const char *);

			if (str == NULL)
				str = "(null)";
			sink_field(s, str, strnlen(str, prec), width, left,
			    ' ');
			break;
		}
		case 'c':
			c = va_arg(ap, int);
			sink_field(s, &c, 1, width, left, ' ');
			break;
		case '\0':
			return;
		default:
			sink_put(s, *f);
		}
	}
}

/* To the console. */
void
kvprintf(const char *fmt, va_list ap)
{
	struct sink s = { 0 };

	format(&s, fmt, ap);
}

void
kprintf(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	kvprintf(fmt, ap);
	va_end(ap);
}

/* To a buffer. Returns: the length it would have with room enough. */
size_t
ksnprintf(char *buf, size_t size, const char *fmt, ...)
{
	struct sink s = { .buf = buf, .size = size };
	va_list ap;

	va_start(ap, fmt);
	format(&s, fmt, ap);
	va_end(ap);
	if (size > 0)
		buf[min(s.len, size - 1)] = '\0';
	return (s.len);
}
