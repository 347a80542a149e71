/* SPDX-License-Identifier: ISC */
/*
 * net.c - where the frames of a network interface go: to the user network's
 * helper, over a pair of sockets, or to a tap.
 */
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <net/if.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "machine.h"
#include "vmctl.h"

/* linux/if_tun.h, which musl's headers do not have. */
#define TUNSETIFF	_IOW('T', 202, int)
#define IFF_TAP		0x0002
#define IFF_NO_PI	0x1000

#define HELPER		"vmctl-slirp"

/*
 * The helper stands where vmctl does, or in the path. `fd` is its standard
 * input. Returns: an errno.
 */
static int
helper_start(pid_t *pid, int fd)
{
	char path[4096], *argv[] = { HELPER, NULL };
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) -
	    sizeof(HELPER));
	posix_spawn_file_actions_t act;
	char *slash;
	int error;

	path[n > 0 ? n : 0] = '\0';
	slash = strrchr(path, '/');
	strcpy(slash != NULL ? slash + 1 : path, HELPER);
	posix_spawn_file_actions_init(&act);
	posix_spawn_file_actions_adddup2(&act, fd, STDIN_FILENO);
	error = posix_spawn(pid, path, &act, NULL, argv, environ);
	if (error == ENOENT)
		error = posix_spawnp(pid, HELPER, &act, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&act);
	return (error);
}

/* A helper that works says so with a packet of one byte. */
static int
open_user(struct nic *n)
{
	int error, pair[2];
	char byte;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return (ctl_error(CTL_FAIL, "-n user: %s", strerror(errno)));
	n->fd = pair[0];
	error = helper_start(&n->helper, pair[1]);
	close(pair[1]);
	if (error != 0) {
		n->helper = 0;
		return (ctl_error(CTL_FAIL, "-n user: %s: %s; it belongs "
		    "beside vmctl, and `make slirp' builds it", HELPER,
		    strerror(error)));
	}
	return (recv(n->fd, &byte, 1, 0) == 1 ? CTL_OK : ctl_error(CTL_FAIL,
	    "-n user: %s does not start; install libslirp0", HELPER));
}

static int
open_tap(struct nic *n, const char *name)
{
	struct ifreq ifr;

	memset(&ifr, 0, sizeof(ifr));
	ifr.ifr_flags = IFF_TAP | IFF_NO_PI;
	if (strlen(name) >= sizeof(ifr.ifr_name))
		return (ctl_error(CTL_USAGE, "-n tap=%s: the name is too "
		    "long", name));
	strcpy(ifr.ifr_name, name);
	n->fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (n->fd < 0)
		return (ctl_error(CTL_FAIL, "-n tap=%s: /dev/net/tun: %s; be "
		    "root, and `modprobe tun'", name, strerror(errno)));
	if (ioctl(n->fd, TUNSETIFF, &ifr) != 0)
		return (ctl_error(CTL_FAIL, "-n tap=%s: %s; be root, and "
		    "`ip tuntap add %s mode tap'", name, strerror(errno),
		    name));
	return (CTL_OK);
}

int
nic_open(struct nic *n, struct mon *m, const char *what)
{
	memset(n, 0, sizeof(*n));
	n->mon = m;
	n->fd = -1;
	pthread_cond_init(&n->room, NULL);
	return (strcmp(what, "user") == 0 ? open_user(n) :
	    open_tap(n, what + 4));
}

void
nic_close(struct nic *n)
{
	if (n->fd >= 0)
		shutdown(n->fd, SHUT_RDWR);	/* the helper ends */
	if (n->helper > 0) {
		kill(n->helper, SIGKILL);	/* it may not listen */
		waitpid(n->helper, NULL, 0);
	}
}

/* What finds no room is lost, as on a wire: nobody waits under the lock. */
static void
nic_send(void *arg, const void *frame, size_t len)
{
	struct nic *n = arg;

	if (n->helper == 0) {
		(void)!write(n->fd, frame, len);
		return;
	}
	n->out.len = 0;
	(void)link_put(&n->out, frame, len);
	(void)!send(n->fd, n->out.data, n->out.len, MSG_NOSIGNAL |
	    MSG_DONTWAIT);
}

/*
 * Frames are sent right here, in the VCPU's thread: another one would cost
 * more than sending does.
 */
static void
nic_kick(void *arg, unsigned int queue)
{
	struct nic *n = arg;

	if (queue == NET_RX)
		pthread_cond_signal(&n->room);
	else if (virtio_net_work(&n->net))
		mon_kick(n->mon);
}

/* A frame for the guest waits until there is a buffer for it. Lock held. */
static void
nic_receive(struct nic *n, const void *frame, size_t len)
{
	while (n->mon->state != MON_END &&
	    !virtio_net_receive(&n->net, frame, len))
		pthread_cond_wait(&n->room, &n->mon->lock);
}

/*
 * Frames for the guest. Woken by one, this thread does not interrupt whoever
 * sends the next ones, where they share a CPU: so it takes, and the guest
 * gets, many at once.
 */
static void *
nic_main(void *arg)
{
	struct nic *n = arg;
	static _Thread_local struct link in;
	struct sched_param none = { 0 };
	const uint8_t *frame;
	size_t size;
	ssize_t len;

	(void)pthread_setschedparam(pthread_self(), SCHED_BATCH, &none);
	while ((len = read(n->fd, in.data, sizeof(in.data))) > 0 ||
	    (len < 0 && errno == EINTR)) {
		in.len = len > 0 ? (size_t)len : 0;
		in.at = 0;
		pthread_mutex_lock(&n->mon->lock);
		if (n->helper == 0 && in.len > 0)
			nic_receive(n, in.data, in.len);
		else
			while ((frame = link_next(&in, &size)) != NULL)
				nic_receive(n, frame, size);
		pthread_mutex_unlock(&n->mon->lock);
	}
	pthread_mutex_lock(&n->mon->lock);
	if (n->mon->state != MON_END)
		dev_log("%s: %s has gone; no frame comes until the VM is "
		    "started anew", n->net.virtio.owner.name, n->helper != 0 ?
		    HELPER : "the tap");
	pthread_mutex_unlock(&n->mon->lock);
	return (NULL);
}

int
nic_start(struct nic *n)
{
	int error = pthread_create(&n->reader, NULL, nic_main, n);

	if (error == 0)
		pthread_detach(n->reader);
	return (error);
}

/* The device in front of it, as powered on. */
void
nic_init(struct nic *n, unsigned int nr)
{
	static const char *const names[MON_NICS] = {
		"net 0", "net 1", "net 2", "net 3",
	};
	struct virtio_owner owner = { names[nr], &n->mon->mem, nic_kick, n };
	/* Administered locally; others by the VM's id. */
	struct virtio_net_link link = {
		.mac = { 0x02, 'v', 'm', (uint8_t)(n->mon->id >> 8),
		    (uint8_t)n->mon->id, (uint8_t)nr },
		.send = nic_send,
		.arg = n,
	};

	virtio_net_init(&n->net, &owner, &link);
	pthread_cond_signal(&n->room);
}
