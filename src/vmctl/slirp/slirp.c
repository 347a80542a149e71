/* SPDX-License-Identifier: ISC */
/*
 * slirp.c - vmctl-slirp: the user network of one VM's interface.
 *
 * A process of its own, since libslirp is a shared library and vmctl is
 * static. Frames come and go on standard input, one end of a pair of sockets
 * (link.h), behind a first packet of one byte that says that it works; it ends
 * with the other end. The guest is 10.0.2.15, asks 10.0.2.2 for an address and
 * reaches there what listens on this machine's loopback.
 */
#define _GNU_SOURCE		/* SCHED_BATCH, setgroups() */
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <slirp/libslirp.h>

#include "link.h"

#define LINK		STDIN_FILENO
#define NOBODY		65534		/* user and group */
#define FDS_MAX		1024
#define TIMERS		16
#define TURN		256		/* packets, before others are served */

struct timer {
	SlirpTimerCb	 fire;
	void		*opaque;
	int64_t		 at;		/* ms; -1: not armed */
	bool		 used;
};

static struct timer timers[TIMERS];
static struct pollfd fds[FDS_MAX];
static int nfds;
static struct link out;

static int64_t
now_ns(void *opaque)
{
	struct timespec ts;

	(void)opaque;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec);
}

/* What waits for the guest goes, unless the link is full. */
static void
flush(void)
{
	if (out.len > 0 && (send(LINK, out.data, out.len, MSG_DONTWAIT |
	    MSG_NOSIGNAL) >= 0 || errno != EAGAIN))
		out.len = 0;
}

/* A frame for the guest; one that finds no room is lost, as on a wire. */
static ssize_t
to_guest(const void *buf, size_t len, void *opaque)
{
	(void)opaque;
	if (!link_put(&out, buf, len)) {
		flush();
		(void)link_put(&out, buf, len);
	}
	return ((ssize_t)len);
}

/* Not told: a guest can err without end. */
static void
guest_error(const char *msg, void *opaque)
{
	(void)msg;
	(void)opaque;
}

static void *
timer_new(SlirpTimerCb fire, void *cb_opaque, void *opaque)
{
	int i;

	(void)opaque;
	for (i = 0; i < TIMERS; i++)
		if (!timers[i].used) {
			timers[i] = (struct timer){ fire, cb_opaque, -1,
			    true };
			return (&timers[i]);
		}
	fprintf(stderr, "vmctl-slirp: more than %d timers\n", TIMERS);
	exit(1);
}

static void
timer_free(void *t, void *opaque)
{
	(void)opaque;
	((struct timer *)t)->used = false;
}

static void
timer_mod(void *t, int64_t ms, void *opaque)
{
	(void)opaque;
	((struct timer *)t)->at = ms;
}

static void
poll_fd(int fd, void *opaque)
{
	(void)fd;
	(void)opaque;
}

static void
notify(void *opaque)
{
	(void)opaque;
}

static const SlirpCb callbacks = {
	.send_packet = to_guest,
	.guest_error = guest_error,
	.clock_get_ns = now_ns,
	.timer_new = timer_new,
	.timer_free = timer_free,
	.timer_mod = timer_mod,
	.register_poll_fd = poll_fd,
	.unregister_poll_fd = poll_fd,
	.notify = notify,
};

/* SLIRP_POLL_* and what poll() calls them. */
static const struct { int slirp; short poll; } events[] = {
	{ SLIRP_POLL_IN, POLLIN }, { SLIRP_POLL_OUT, POLLOUT },
	{ SLIRP_POLL_PRI, POLLPRI }, { SLIRP_POLL_ERR, POLLERR },
	{ SLIRP_POLL_HUP, POLLHUP },
};
#define NEVENTS	(sizeof(events) / sizeof(events[0]))

static int
add_poll(int fd, int want, void *opaque)
{
	size_t i;

	(void)opaque;
	if (nfds == FDS_MAX)
		return (-1);
	fds[nfds] = (struct pollfd){ .fd = fd };
	for (i = 0; i < NEVENTS; i++)
		if ((want & events[i].slirp) != 0)
			fds[nfds].events |= events[i].poll;
	return (nfds++);
}

static int
get_revents(int i, void *opaque)
{
	int got = 0;
	size_t k;

	(void)opaque;
	if (i < 0)
		return (0);
	for (k = 0; k < NEVENTS; k++)
		if ((fds[i].revents & events[k].poll) != 0)
			got |= events[k].slirp;
	return (got);
}

/* Fires what is due. Returns: ms until the next, at most `wait`. */
static uint32_t
run_timers(uint32_t wait)
{
	int64_t now = now_ns(NULL) / 1000000;
	int i;

	for (i = 0; i < TIMERS; i++) {
		struct timer *t = &timers[i];

		if (!t->used || t->at < 0)
			continue;
		if (t->at <= now) {
			t->at = -1;
			t->fire(t->opaque);
		} else if (t->at - now < (int64_t)wait)
			wait = (uint32_t)(t->at - now);
	}
	return (wait);
}

/*
 * What the guest has sent, and of much of it a turn's worth. Returns: false:
 * the VM has ended.
 */
static bool
from_guest(Slirp *s)
{
	static struct link in;
	const uint8_t *frame;
	size_t len, turn;
	ssize_t n = 1;

	for (turn = 0; turn < TURN; turn++) {
		n = recv(LINK, in.data, sizeof(in.data), MSG_DONTWAIT);
		if (n <= 0)
			break;
		in.len = (size_t)n;
		in.at = 0;
		while ((frame = link_next(&in, &len)) != NULL)
			slirp_input(s, frame, (int)len);
	}
	return (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)));
}

/*
 * A hostile guest meets a library here, so nothing is left to be won: no root,
 * no file to write, no program to start. The root of a user namespace that has
 * no such id (EINVAL), or keeps its groups (EPERM), is no root outside it.
 */
static bool
give_up_power(void)
{
	static const struct rlimit none = { 0, 0 };

	if (geteuid() == 0 && ((setgroups(0, NULL) != 0 && errno != EPERM) ||
	    setgid(NOBODY) != 0 || setuid(NOBODY) != 0) && errno != EINVAL)
		return (false);
	return (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	    setrlimit(RLIMIT_NPROC, &none) == 0 &&
	    setrlimit(RLIMIT_FSIZE, &none) == 0);	/* nor an error file */
}

int
main(int argc, char **argv)
{
	SlirpConfig config = { .version = 1, .in_enabled = true };
	struct sched_param none = { 0 };
	struct sockaddr name;
	socklen_t len = sizeof(name);
	uint32_t wait;
	Slirp *s;
	int n;

	if (argc != 1) {
		fprintf(stderr, "usage: %s, started by vmctl\n", argv[0]);
		return (2);
	}
	inet_pton(AF_INET, "10.0.2.0", &config.vnetwork);
	inet_pton(AF_INET, "255.255.255.0", &config.vnetmask);
	inet_pton(AF_INET, "10.0.2.2", &config.vhost);
	inet_pton(AF_INET, "10.0.2.15", &config.vdhcp_start);
	inet_pton(AF_INET, "10.0.2.3", &config.vnameserver);
	s = slirp_new(&config, &callbacks, NULL);
	if (s == NULL) {
		fprintf(stderr, "vmctl-slirp: libslirp does not start\n");
		return (1);
	}
	if (getsockname(LINK, &name, &len) != 0) {
		fprintf(stderr, "vmctl-slirp: standard input is no socket\n");
		return (1);
	}
	if (!give_up_power()) {
		fprintf(stderr, "vmctl-slirp: cannot be nobody: %s\n",
		    strerror(errno));
		return (1);
	}
	if (send(LINK, "", 1, MSG_NOSIGNAL) != 1)
		return (1);
	/* Who started the VM may wait for the last that has these to go. */
	n = open("/dev/null", O_RDWR);
	dup2(n, STDOUT_FILENO);
	dup2(n, STDERR_FILENO);
	/* Many frames at a time, as net.c has it for its reader. */
	(void)sched_setscheduler(0, SCHED_BATCH, &none);
	for (;;) {
		flush();
		nfds = 0;
		(void)add_poll(LINK, SLIRP_POLL_IN |
		    (out.len > 0 ? SLIRP_POLL_OUT : 0), NULL);
		wait = run_timers(1000);
		slirp_pollfds_fill(s, &wait, add_poll, NULL);
		n = poll(fds, (nfds_t)nfds, (int)wait);
		slirp_pollfds_poll(s, n < 0, get_revents, NULL);
		if ((fds[0].revents & (POLLIN | POLLHUP)) != 0 &&
		    !from_guest(s))
			break;
	}
	slirp_cleanup(s);
	return (0);
}
