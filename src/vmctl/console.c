/* SPDX-License-Identifier: ISC */
/*
 * console.c - the other end of a VM's serial line.
 *
 * Output goes through a ring, which a thread of its own writes to whoever is
 * attached, so that a terminal that was stopped stops the guest's output and
 * nothing else. The last of it is kept for who attaches later. Input is read
 * by a thread for each time that somebody attached.
 */
#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "console.h"

/*
 * --- The terminal. ---
 */

static struct termios terminal_saved;
static int terminal_fd = -1;

void
terminal_restore(void)
{
	if (terminal_fd >= 0)
		tcsetattr(terminal_fd, TCSANOW, &terminal_saved);
	terminal_fd = -1;
}

void
terminal_raw(int fd)
{
	static bool once;
	struct termios t;

	if (tcgetattr(fd, &t) != 0)
		return;
	terminal_saved = t;
	terminal_fd = fd;
	if (!once)
		atexit(terminal_restore);
	once = true;
	t.c_iflag &= ~(tcflag_t)(BRKINT | ICRNL | INLCR | IGNCR | ISTRIP |
	    IXON);
	t.c_oflag &= ~(tcflag_t)OPOST;
	t.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN | ISIG);
	t.c_cc[VMIN] = 1;
	t.c_cc[VTIME] = 0;
	tcsetattr(fd, TCSANOW, &t);
}

ssize_t
escape_filter(struct escape *e, uint8_t *buf, size_t n)
{
	uint8_t in[256];
	size_t i, done = 0;

	if (e->off || n > sizeof(in) - 1)
		return ((ssize_t)n);
	memcpy(in, buf, n);
	for (i = 0; i < n; i++) {
		if (e->at == ESCAPE_TILDE && in[i] == '.')
			return (-1);
		if (e->at == ESCAPE_LINE && in[i] == '~') {
			e->at = ESCAPE_TILDE;
			continue;
		}
		/* A tilde that was none goes first; `~~' is one. */
		if (e->at == ESCAPE_TILDE && in[i] != '~')
			buf[done++] = '~';
		buf[done++] = in[i];
		e->at = in[i] == '\r' || in[i] == '\n' ? ESCAPE_LINE :
		    ESCAPE_TEXT;
	}
	return ((ssize_t)done);
}

static bool
write_all(int fd, const uint8_t *p, size_t n)
{
	ssize_t w;

	for (; n > 0; p += w, n -= (size_t)w) {
		w = write(fd, p, n);
		if (w < 0 && errno == EINTR)
			w = 0;
		else if (w <= 0)
			return (false);
	}
	return (true);
}

/* One direction of console_client(). Returns: false: it has ended. */
static bool
relay(int from, int to, struct escape *e, int *left)
{
	uint8_t buf[256];
	ssize_t n = read(from, buf, e != NULL ? sizeof(buf) / 2 : sizeof(buf));

	if (n < 0 && errno == EINTR)
		return (true);
	if (n > 0 && e != NULL) {
		n = escape_filter(e, buf, (size_t)n);
		if (n < 0)
			*left = 1;
		else if (n == 0)
			return (true);
	}
	return (n > 0 && write_all(to, buf, (size_t)n));
}

int
console_client(int sock)
{
	struct pollfd p[2] = {
		{ .fd = sock, .events = POLLIN },
		{ .fd = STDIN_FILENO, .events = POLLIN },
	};
	struct escape e = { .at = ESCAPE_LINE, .off = !isatty(STDIN_FILENO) };
	int left = 0;

	terminal_raw(STDIN_FILENO);
	while (left == 0) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			break;
		if (p[0].revents != 0 &&
		    !relay(sock, STDOUT_FILENO, NULL, &left))
			break;
		/* Input may end before the VM does. */
		if (p[1].revents != 0 &&
		    !relay(STDIN_FILENO, sock, &e, &left))
			p[1].fd = -1;
	}
	terminal_restore();
	return (left);
}

/*
 * --- The serial line. ---
 */

bool
console_put(struct console *c, uint8_t byte)
{
	if (c->head - c->tail == CONSOLE_KEPT) {
		if (c->out >= 0) {
			c->blocked = true;
			return (false);
		}
		c->tail++;
	}
	c->ring[c->head++ % CONSOLE_KEPT] = byte;
	if (c->out >= 0)
		pthread_cond_signal(&c->more);
	return (true);
}

void
console_room(struct console *c)
{
	pthread_cond_broadcast(&c->room);
}

/* Whoever is attached is not any more; its reader closes the socket. */
static void
detach(struct console *c)
{
	if (c->in > STDERR_FILENO)
		shutdown(c->in, SHUT_RDWR);
	c->in = c->out = -1;
	c->users++;
	pthread_cond_broadcast(&c->room);
}

/* A guest sends byte by byte, and more of them come soon: wait for those. */
static void
gather(struct console *c)
{
	static const struct timespec millisecond = { .tv_nsec = 1000000 };

	pthread_mutex_unlock(c->lock);
	nanosleep(&millisecond, NULL);
	pthread_mutex_lock(c->lock);
}

static void *
writer_main(void *arg)
{
	struct console *c = arg;
	uint8_t buf[1024];
	unsigned int user;
	size_t n;
	bool ok;
	int fd;

	pthread_mutex_lock(c->lock);
	for (;;) {
		while ((c->head == c->tail || c->out < 0) && !c->end) {
			pthread_cond_wait(&c->more, c->lock);
			gather(c);
		}
		if (c->head == c->tail || c->out < 0)
			break;
		for (n = 0; n < sizeof(buf) && c->tail + n < c->head; n++)
			buf[n] = c->ring[(c->tail + n) % CONSOLE_KEPT];
		user = c->users;
		fd = c->out;
		c->writing = true;
		pthread_mutex_unlock(c->lock);
		ok = write_all(fd, buf, n);
		pthread_mutex_lock(c->lock);
		c->writing = false;
		pthread_cond_broadcast(&c->room);
		if (user == c->users) {
			c->tail += n;
			if (!ok)
				detach(c);
		}
		if (c->blocked) {
			c->blocked = false;
			c->drained(c->arg);
		}
	}
	pthread_mutex_unlock(c->lock);
	return (NULL);
}

int
console_start(struct console *c)
{
	c->in = c->out = -1;
	pthread_cond_init(&c->more, NULL);
	pthread_cond_init(&c->room, NULL);
	return (pthread_create(&c->writer, NULL, writer_main, c));
}

/* Hand over what was typed, as the guest takes it. Lock held. */
static void
give_all(struct console *c, unsigned int user, const uint8_t *p, size_t n)
{
	size_t taken;

	while (n > 0 && user == c->users && !c->end) {
		taken = c->give(c->arg, p, n);
		p += taken;
		n -= taken;
		if (n > 0)
			pthread_cond_wait(&c->room, c->lock);
	}
}

static void *
reader_main(void *arg)
{
	struct console *c = arg;
	unsigned int user;
	uint8_t buf[128];
	ssize_t n;
	int fd;

	pthread_mutex_lock(c->lock);
	user = c->users;
	fd = c->in;
	while (user == c->users && fd >= 0) {
		pthread_mutex_unlock(c->lock);
		n = read(fd, buf, sizeof(buf));
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n <= 0)
			n = -2;		/* it has ended; output goes on */
		else
			n = escape_filter(&c->escape, buf, (size_t)n);
		pthread_mutex_lock(c->lock);
		if (user != c->users || n == -2)
			break;
		if (n == -1) {
			c->left(c->arg);
			break;
		}
		give_all(c, user, buf, (size_t)n);
	}
	/* A socket that ended has nobody behind it. */
	if (user == c->users && fd > STDERR_FILENO)
		detach(c);
	while (c->writing && fd > STDERR_FILENO)
		pthread_cond_wait(&c->room, c->lock);
	pthread_mutex_unlock(c->lock);
	if (fd > STDERR_FILENO)
		close(fd);
	return (NULL);
}

int
console_attach(struct console *c, int in, int out, bool person)
{
	pthread_t reader;
	int error;

	pthread_mutex_lock(c->lock);
	detach(c);
	c->in = in;
	c->out = out;
	c->escape = (struct escape){ ESCAPE_LINE, !person };
	error = pthread_create(&reader, NULL, reader_main, c);
	if (error == 0)
		pthread_detach(reader);
	else
		detach(c);
	pthread_cond_signal(&c->more);
	pthread_mutex_unlock(c->lock);
	return (error);
}

void
console_finish(struct console *c)
{
	pthread_mutex_lock(c->lock);
	c->end = true;
	pthread_cond_signal(&c->more);
	pthread_cond_broadcast(&c->room);
	pthread_mutex_unlock(c->lock);
	pthread_join(c->writer, NULL);
}
