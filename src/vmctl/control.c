/* SPDX-License-Identifier: ISC */
/*
 * control.c - the socket of a running VM, both ends of it.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "machine.h"
#include "vmctl.h"

#define RUN_DIR		"/run/vmm"
#define REQUEST_MAX	64

static int listening = -1;
static struct sockaddr_un own;

static const char *
run_dir(void)
{
	const char *dir = getenv("VMM_RUN");

	return (dir != NULL && dir[0] != '\0' ? dir : RUN_DIR);
}

/* The socket's address. Returns: false: the path is too long. */
static bool
address(struct sockaddr_un *sun, const char *name)
{
	int n;

	memset(sun, 0, sizeof(*sun));
	sun->sun_family = AF_UNIX;
	n = snprintf(sun->sun_path, sizeof(sun->sun_path), "%s/%s", run_dir(),
	    name);
	return (n > 0 && (size_t)n < sizeof(sun->sun_path));
}

/* A socket, or -1 with errno. */
static int
dial(const char *name)
{
	struct sockaddr_un sun;
	int s, saved;

	if (!address(&sun, name)) {
		errno = ENAMETOOLONG;
		return (-1);
	}
	s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s >= 0 && connect(s, (void *)&sun, sizeof(sun)) != 0) {
		saved = errno;
		close(s);
		errno = saved;
		s = -1;
	}
	return (s);
}

/*
 * --- In the process that has the VM. ---
 */

int
control_listen(const char *name)
{
	int s;

	if (mkdir(run_dir(), 0700) != 0 && errno != EEXIST)
		return (ctl_error(CTL_FAIL, "%s: %s; be root, or set VMM_RUN",
		    run_dir(), strerror(errno)));
	if (!address(&own, name))
		return (ctl_error(CTL_USAGE, "%s: the name is too long",
		    name));
	s = dial(name);
	if (s >= 0) {
		close(s);
		return (ctl_error(CTL_FAIL, "%s runs already; `vmctl stop "
		    "%s', or take another name", name, name));
	}
	unlink(own.sun_path);		/* of one that was killed */
	listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listening < 0 ||
	    bind(listening, (void *)&own, sizeof(own)) != 0 ||
	    chmod(own.sun_path, 0600) != 0 || listen(listening, 8) != 0)
		return (ctl_error(CTL_FAIL, "%s: %s", own.sun_path,
		    strerror(errno)));
	return (CTL_OK);
}

void
control_stop(void)
{
	if (listening >= 0)
		unlink(own.sun_path);
	listening = -1;
}

static void
answer_status(int s, struct mon *m)
{
	static const char *const names[] = {
		[MON_RUN] = "running", [MON_PAUSE] = "paused",
		[MON_RESET] = "resetting", [MON_END] = "ending",
	};

	dprintf(s, "%5u %7d %5u %7llum %-9s %s\n", m->id, (int)getpid(),
	    m->ncpus, (unsigned long long)(m->config->memory / CLIENT_MIB),
	    names[m->state], m->config->name);
}

/* Serve one request. Returns: the socket is not ours any more. */
static bool
serve(int s, struct mon *m)
{
	char req[REQUEST_MAX];
	size_t n = 0;

	while (n < sizeof(req) - 1 && read(s, &req[n], 1) == 1 &&
	    req[n] != '\n')
		n++;
	req[n] = '\0';
	if (strcmp(req, "status") == 0)
		answer_status(s, m);
	else if (strcmp(req, "pause") == 0)
		mon_set_state(m, MON_PAUSE);
	else if (strcmp(req, "unpause") == 0)
		mon_set_state(m, MON_RUN);
	else if (strcmp(req, "stop") == 0) {
		pthread_mutex_lock(&m->lock);
		mon_finish(m, END_STOPPED);
		pthread_mutex_unlock(&m->lock);
		/* It hangs up when the VM has ended. */
		return (true);
	} else if (strcmp(req, "console") == 0)
		return (machine_attach(m, s) == 0);
	else
		dprintf(s, "no such request: %s\n", req);
	return (false);
}

static void *
control_main(void *arg)
{
	struct mon *m = arg;
	int s;

	for (;;) {
		s = accept(listening, NULL, NULL);
		if (s < 0 && errno != EINTR && errno != ECONNABORTED)
			return (NULL);
		if (s >= 0 && !serve(s, m))
			close(s);
	}
}

int
control_start(struct mon *m)
{
	pthread_t t;
	int error = pthread_create(&t, NULL, control_main, m);

	if (error == 0)
		pthread_detach(t);
	return (error);
}

/*
 * --- In another process. ---
 */

/* The name of the VM with that id, or the name itself. */
static const char *
name_of(const char *who, char *name, size_t len)
{
	unsigned int id, n;
	struct dirent *e;
	char *end, line[128];
	DIR *d;
	int s;

	id = (unsigned int)strtoul(who, &end, 10);
	if (*end != '\0' || end == who || (d = opendir(run_dir())) == NULL)
		return (who);
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.' || (s = dial(e->d_name)) < 0)
			continue;
		dprintf(s, "status\n");
		n = (unsigned int)read(s, line, sizeof(line) - 1);
		close(s);
		line[n < sizeof(line) ? n : 0] = '\0';
		if (strtoul(line, NULL, 10) == id) {
			snprintf(name, len, "%s", e->d_name);
			who = name;
			break;
		}
	}
	closedir(d);
	return (who);
}

int
control_connect(const char *who)
{
	char name[256];
	int s = dial(name_of(who, name, sizeof(name)));

	if (s < 0)
		ctl_error(CTL_FAIL, "%s: %s; `vmctl status' lists what runs",
		    who, errno == ENOENT || errno == ECONNREFUSED ?
		    "no such VM runs" : strerror(errno));
	return (s);
}

int
control_ask(const char *who, const char *request)
{
	int s = control_connect(who);
	char buf[256];
	ssize_t n;

	if (s < 0)
		return (CTL_FAIL);
	dprintf(s, "%s\n", request);
	while ((n = read(s, buf, sizeof(buf))) > 0)
		fwrite(buf, 1, (size_t)n, stdout);
	close(s);
	return (CTL_OK);
}

/* Every VM that answers. */
int
status_main(int argc, char **argv)
{
	struct dirent *e;
	DIR *d;

	if (argc > 2)
		return (ctl_error(CTL_USAGE, "usage: vmctl status [name|id]"));
	printf("%5s %7s %5s %8s %-9s %s\n", "ID", "PID", "VCPUS", "MEMORY",
	    "STATE", "NAME");
	fflush(stdout);
	if (argc == 2)
		return (control_ask(argv[1], "status"));
	d = opendir(run_dir());
	if (d == NULL && errno != ENOENT)
		return (ctl_error(CTL_FAIL, "%s: %s; be root", run_dir(),
		    strerror(errno)));
	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.' && access(run_dir(), R_OK) == 0) {
			int s = dial(e->d_name);

			if (s < 0)
				continue;	/* it was killed */
			close(s);
			(void)control_ask(e->d_name, "status");
		}
	if (d != NULL)
		closedir(d);
	return (CTL_OK);
}

/* stop [-a] [-f] [name|id]. Ends when they have ended. */
int
stop_main(int argc, char **argv)
{
	bool all = false;
	struct dirent *e;
	DIR *d;
	int c;

	opterr = 0;
	while ((c = getopt(argc, argv, "af")) != -1)
		if (c == 'a')
			all = true;
		else if (c != 'f')	/* nothing asks the guest first */
			optind = argc + 1;
	if (optind + (all ? 0 : 1) != argc)
		return (ctl_error(CTL_USAGE,
		    "usage: vmctl stop [-f] name|id, or vmctl stop -a"));
	if (!all)
		return (control_ask(argv[optind], "stop"));
	d = opendir(run_dir());
	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			(void)control_ask(e->d_name, "stop");
	if (d != NULL)
		closedir(d);
	return (CTL_OK);
}

/* pause, unpause. */
int
pause_main(int argc, char **argv)
{
	if (argc != 2)
		return (ctl_error(CTL_USAGE, "usage: vmctl %s name|id",
		    argv[0]));
	return (control_ask(argv[1], argv[0]));
}

int
console_main(int argc, char **argv)
{
	int s;

	if (argc != 2)
		return (ctl_error(CTL_USAGE,
		    "usage: vmctl console name|id"));
	s = control_connect(argv[1]);
	if (s < 0)
		return (CTL_FAIL);
	dprintf(s, "console\n");
	(void)console_client(s);
	return (CTL_OK);
}
