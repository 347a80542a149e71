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

#include "cond.h"
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

static void
terminal_signal(int sig)
{
	terminal_restore();
	signal(sig, SIG_DFL);
	raise(sig);
}

/* For those that nobody has other plans for. */
static void
terminal_catch(void)
{
	static const int sigs[] = { SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGTERM };
	struct sigaction sa;
	size_t i;

	for (i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++)
		if (sigaction(sigs[i], NULL, &sa) == 0 &&
		    sa.sa_handler == SIG_DFL)
			signal(sigs[i], terminal_signal);
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
	if (!once) {
		atexit(terminal_restore);
		terminal_catch();
	}
	once = true;
	t.c_iflag &= ~(tcflag_t)(BRKINT | ICRNL | INLCR | IGNCR | ISTRIP |
	    IXON);
	t.c_oflag &= ~(tcflag_t)OPOST;
	t.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN | ISIG);
	t.c_cc[VMIN] = 1;
	t.c_cc[VTIME] = 0;
	tcsetattr(fd, TCSANOW, &t);
}

size_t
escape_filter(struct escape *e, uint8_t *buf, size_t n)
{
	uint8_t in[ESCAPE_MAX];
	size_t i, done = 0;

	if (e->off || n > sizeof(in))
		return (n);
	memcpy(in, buf, n);
	for (i = 0; i < n; i++) {
		if (e->at == ESCAPE_TILDE && in[i] == '.') {
			e->left = true;
			break;
		}
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
	return (done);
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

/* What was typed and is on its way. */
struct typed {
	struct escape	escape;
	size_t		n;
	uint8_t		buf[4 * ESCAPE_MAX];
};

/*
 * Read what was typed. A person's is read even if the VM takes no more, or
 * `~.' would not be heard, and is lost if there is too much of it.
 * Returns: false: the input has ended.
 */
static bool
type(struct typed *t)
{
	uint8_t buf[ESCAPE_MAX + 1];
	ssize_t r = read(STDIN_FILENO, buf, ESCAPE_MAX);
	size_t n;

	if (r <= 0)
		return (r < 0 && errno == EINTR);
	n = escape_filter(&t->escape, buf, (size_t)r);
	if (t->n + n <= sizeof(t->buf)) {
		memcpy(t->buf + t->n, buf, n);
		t->n += n;
	}
	return (true);
}

/* Send what the VM takes now. False: it has hung up. */
static bool
type_on(struct typed *t, int sock)
{
	ssize_t n;

	if (t->n == 0)
		return (true);
	n = send(sock, t->buf, t->n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		return (errno == EAGAIN || errno == EINTR);
	t->n -= (size_t)n;
	memmove(t->buf, t->buf + n, t->n);
	return (true);
}

/* Show what the VM said. 1; 0: it has hung up; -1: not to be shown, errno. */
static int
show(int sock)
{
	uint8_t buf[4096];
	ssize_t n = read(sock, buf, sizeof(buf));

	if (n <= 0)
		return (n < 0 && errno == EINTR);
	return (write_all(STDOUT_FILENO, buf, (size_t)n) ? 1 : -1);
}

int
console_client(int sock)
{
	bool person = isatty(STDIN_FILENO);
	struct typed t = { .escape = { .at = ESCAPE_LINE, .off = !person } };
	struct pollfd p[2] = { { .fd = sock }, { .events = POLLIN } };
	bool input = true;
	int shown = 0, error;

	terminal_raw(STDIN_FILENO);
	while (!t.escape.left) {
		p[0].events = t.n > 0 ? POLLIN | POLLOUT : POLLIN;
		p[1].fd = input && (person || t.n == 0) ?
		    STDIN_FILENO : -1;
		p[1].revents = 0;
		if (poll(p, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			break;
		}
		if (p[0].revents & ~POLLOUT && (shown = show(sock)) <= 0)
			break;
		if (p[1].revents != 0)
			input = type(&t);
		/* Who hung up may have said something before. */
		if (!type_on(&t, sock))
			t.n = 0;
	}
	error = errno;
	terminal_restore();
	errno = error;
	return (t.escape.left ? 1 : shown < 0 ? -1 : 0);
}

/*
 * --- The serial line. ---
 */

bool
console_put(struct console *c, uint8_t byte)
{
	if (c->head - c->tail == CONSOLE_KEPT) {
		if (c->user != NULL) {
			c->blocked = true;
			return (false);
		}
		c->tail++;
	}
	c->ring[c->head++ % CONSOLE_KEPT] = byte;
	if (c->user != NULL)
		pthread_cond_signal(&c->more);
	return (true);
}

void
console_room(struct console *c)
{
	pthread_cond_broadcast(&c->room);
}

/* Whoever is attached is not any more; the user's reader frees it. */
static void
detach(struct console *c, const char *why)
{
	struct console_user *u = c->user;

	c->user = NULL;
	pthread_cond_broadcast(&c->room);
	if (u == NULL || u->in <= STDERR_FILENO)
		return;
	(void)!send(u->out, why, strlen(why), MSG_DONTWAIT | MSG_NOSIGNAL);
	shutdown(u->in, SHUT_RDWR);
}

/* Write some of what there is, without the lock. */
static void
write_some(struct console *c, struct console_user *u)
{
	uint64_t at = c->tail;
	uint8_t buf[1024];
	size_t n;
	bool ok;

	for (n = 0; n < sizeof(buf) && c->tail + n < c->head; n++)
		buf[n] = c->ring[(c->tail + n) % CONSOLE_KEPT];
	u->writing = true;
	pthread_mutex_unlock(c->lock);
	ok = write_all(u->out, buf, n);
	pthread_mutex_lock(c->lock);
	u->writing = false;
	pthread_cond_broadcast(&c->room);
	/* What failed is the next one's. Output may have gone on meanwhile. */
	if (ok && c->tail < at + n)
		c->tail = at + n;
	if (!ok && u == c->user)
		detach(c, "");
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

	pthread_mutex_lock(c->lock);
	for (;;) {
		if (c->head != c->tail && c->user != NULL)
			write_some(c, c->user);
		else if (!c->end) {
			pthread_cond_wait(&c->more, c->lock);
			gather(c);
		} else
			break;
		if (c->blocked && (c->user == NULL ||
		    c->head - c->tail < CONSOLE_KEPT)) {
			c->blocked = false;
			c->drained(c->arg);
		}
	}
	c->written = true;
	pthread_cond_broadcast(&c->room);
	pthread_mutex_unlock(c->lock);
	return (NULL);
}

int
console_start(struct console *c)
{
	c->user = NULL;
	pthread_cond_init(&c->more, NULL);
	cond_init(&c->room);
	return (pthread_create(&c->writer, NULL, writer_main, c));
}

/* Hand over what was typed, as the guest takes it. Lock held. */
static void
give_all(struct console_user *u, const uint8_t *p, size_t n)
{
	struct console *c = u->console;
	size_t taken;

	while (n > 0 && u == c->user && !c->end) {
		taken = c->give(c->arg, p, n);
		p += taken;
		n -= taken;
		if (n > 0)
			pthread_cond_wait(&c->room, c->lock);
	}
}

/* What one user types, until the end of it or of the user. */
static void *
reader_main(void *arg)
{
	struct console_user *u = arg;
	struct console *c = u->console;
	uint8_t buf[ESCAPE_MAX + 1];
	ssize_t n;

	pthread_mutex_lock(c->lock);
	while (u == c->user) {
		pthread_mutex_unlock(c->lock);
		do
			n = read(u->in, buf, ESCAPE_MAX);
		while (n < 0 && errno == EINTR);
		pthread_mutex_lock(c->lock);
		if (n <= 0 || u != c->user)
			break;
		give_all(u, buf, escape_filter(&u->escape, buf, (size_t)n));
		if (u->escape.left) {
			c->left(c->arg);
			break;
		}
	}
	if (u->in <= STDERR_FILENO) {	/* output goes on without input */
		pthread_mutex_unlock(c->lock);
		return (NULL);
	}
	if (u == c->user)		/* nobody is behind it */
		detach(c, "");
	while (u->writing)
		pthread_cond_wait(&c->room, c->lock);
	pthread_mutex_unlock(c->lock);
	close(u->in);
	free(u);
	return (NULL);
}

int
console_attach(struct console *c, int in, int out, bool person)
{
	struct console_user *u = calloc(1, sizeof(*u));
	pthread_t reader;
	int error;

	if (u == NULL)
		return (ENOMEM);
	*u = (struct console_user){ .console = c, .in = in, .out = out,
	    .escape = { .at = ESCAPE_LINE, .off = !person } };
	pthread_mutex_lock(c->lock);
	/* At the end nobody new: the wait for who was there has a bound. */
	error = c->end ? ESHUTDOWN : pthread_create(&reader, NULL,
	    reader_main, u);
	if (error == 0) {
		pthread_detach(reader);
		detach(c, "\r\n[another console took over]\r\n");
		c->user = u;
		pthread_cond_signal(&c->more);
	} else
		free(u);
	pthread_mutex_unlock(c->lock);
	return (error);
}

void
console_finish(struct console *c)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += CONSOLE_PATIENCE;
	pthread_mutex_lock(c->lock);
	c->end = true;
	pthread_cond_signal(&c->more);
	pthread_cond_broadcast(&c->room);
	while (!c->written)
		if (pthread_cond_timedwait(&c->room, c->lock, &ts) != 0) {
			detach(c, "");
			break;
		}
	pthread_mutex_unlock(c->lock);
	pthread_join(c->writer, NULL);
}
