/* SPDX-License-Identifier: ISC */
/*
 * tty.c - the console as a terminal: input from COM1, edited by lines
 * unless the client asks for raw characters.
 */
#include <string.h>

#include "metal.h"

#define COM1		0x3f8
#define RING_SIZE	256		/* a power of two */
#define LINE_MAX	512
#define CTRL(c)		((c) & 31)
#define DEL		0x7f

#define TCGETS		0x5401
#define TCSETS		0x5402
#define TCSETSF		0x5404
#define TIOCGWINSZ	0x5413
#define ICRNL		0x100		/* c_iflag */
#define ISIG		0x1		/* c_lflag */
#define ICANON		0x2
#define ECHO		0x8

struct termios {
	uint32_t	c_iflag, c_oflag, c_cflag, c_lflag;
	uint8_t		c_line, c_cc[19];
};

/* tty_irq() is the only writer of head, tty_input() of tail. */
static char ring[RING_SIZE];
static volatile unsigned int ring_head, ring_tail;

static char line[LINE_MAX];		/* to be read; then being edited */
static size_t line_len, line_ready;
static bool line_eof;
char tty_chan;				/* readers sleep here */
static struct termios tio = {
	.c_iflag = ICRNL, .c_oflag = 5, .c_cflag = 0x10bf,
	.c_lflag = ISIG | ICANON | ECHO | 0x30,
	.c_cc = { CTRL('C'), CTRL('\\'), DEL, CTRL('U'), CTRL('D'), 0, 1 },
};

/* COM1 has bytes: keep them. What does not fit is lost. */
void
tty_irq(void)
{
	char c;

	while ((in8(COM1 + 5) & 1) != 0) {
		c = in8(COM1);
		if (ring_head - ring_tail < RING_SIZE)
			ring[ring_head++ % RING_SIZE] = c;
	}
	resched = true;
}

static void
echo(const char *s, size_t n)
{
	if ((tio.c_lflag & ECHO) != 0)
		console_write(s, n);
}

/* One character while lines are edited. Returns: it ends a line. */
static bool
edit(char c)
{
	if (c == DEL || c == '\b' || c == CTRL('U')) {
		while (line_len > line_ready) {
			line_len--;
			echo("\b \b", 3);
			if (c != CTRL('U'))
				break;
		}
		return (false);
	}
	if (c == CTRL('D')) {
		line_eof = line_len == line_ready;
		return (true);
	}
	if (line_len < LINE_MAX - 1 || (c == '\n' && line_len < LINE_MAX)) {
		line[line_len++] = c;
		echo(&c, 1);
	}
	return (c == '\n');
}

/* Takes what has come in; the scheduler calls this. Wakes readers. */
void
tty_input(void)
{
	char c;

	while (ring_tail != ring_head) {
		c = ring[ring_tail++ % RING_SIZE];
		if (c == '\r' && (tio.c_iflag & ICRNL) != 0)
			c = '\n';
		if (c == CTRL('C') && (tio.c_lflag & ISIG) != 0) {
			line_len = line_ready;
			echo("^C\n", 3);
			signal_send(NULL, SIGINT);
			continue;
		}
		if ((tio.c_lflag & ICANON) != 0) {
			if (!edit(c))
				continue;
		} else if (line_len < LINE_MAX) {
			line[line_len++] = c;
			echo(&c, 1);
		}
		line_ready = line_len;
		wakeup(&tty_chan, INT32_MAX);
	}
}

bool
tty_ready(void)
{
	tty_input();
	return (line_ready > 0 || line_eof);
}

/* Returns: bytes, at most a line; 0 at ^D; -ERESTART, -EFAULT. */
long
tty_read(uint64_t uaddr, size_t n)
{
	size_t len;

	while (!tty_ready())
		if (sleep_on(&tty_chan, 0, true) == EINTR)
			return (-ERESTART);
	if (line_ready == 0) {
		line_eof = false;
		return (0);
	}
	for (len = 0; len < n && len < line_ready; )
		if (line[len++] == '\n' && (tio.c_lflag & ICANON) != 0)
			break;
	if (host_copyout(line, uaddr, len) != 0)
		return (-EFAULT);
	memmove(line, line + len, line_len - len);
	line_len -= len;
	line_ready -= len;
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
		if (host_copyin(arg, &tio, sizeof(tio)) != 0)
			return (-EFAULT);
		line_ready = line_len;
		return (0);
	case TIOCGWINSZ:
		return (-host_copyout(winsize, arg, sizeof(winsize)));
	}
	return (-ENOTTY);
}
