/* SPDX-License-Identifier: ISC */
/*
 * tty.c - the console as a terminal. Characters go to the client as they
 * come in, echoed if it asked for that; editing lines is the client's work.
 */
#include <string.h>

#include "metal.h"

#define COM1		0x3f8
#define RING_SIZE	1024		/* a power of two */
#define CTRL(c)		((c) & 31)
#define TCGETS		0x5401
#define TCSETS		0x5402
#define TCSETSF		0x5404
#define TIOCGWINSZ	0x5413
#define ICRNL		0x100		/* c_iflag */
#define ISIG		0x1		/* c_lflag */
#define ECHO		0x8

struct termios {
	uint32_t	c_iflag, c_oflag, c_cflag, c_lflag;
	uint8_t		c_line, c_cc[19];
};

/* tty_irq() moves `in`, tty_input() `seen`, tty_read() `out`. */
static char ring[RING_SIZE];
static volatile unsigned int ring_in, ring_seen, ring_out;
static struct termios tio = { ICRNL, 0, 0, ISIG | ECHO, 0, { CTRL('C') } };
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
	resched = true;
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
		if (*c == CTRL('C') && (tio.c_lflag & ISIG) != 0)
			signal_send(NULL, SIGINT);
	}
	wakeup(&tty_chan, INT32_MAX, NULL);
}

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
