/* SPDX-License-Identifier: ISC */
/*
 * control.c - the socket of a running VM, both ends of it.
 */
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "machine.h"
#include "vmctl.h"

#define RUN_DIR		"/run/vmm"
#define LINE		128
#define PATIENCE	3		/* seconds, for one that hangs */
#define PATIENCE_STOP	10

static int listening = -1;
static struct sockaddr_un own;
static struct mon *served;

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

/* How long to wait for the other side; 0: for ever. */
static void
patience(int s, int seconds)
{
	struct timeval tv = { .tv_sec = seconds };

	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
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
	if (s < 0)
		return (-1);
	patience(s, PATIENCE);
	if (connect(s, (void *)&sun, sizeof(sun)) != 0) {
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

/* Between looking whether a name is in use, and using it, nobody else may. */
static int
listen_as(const char *name, int dir)
{
	struct stat st;
	int s;

	if (flock(dir, LOCK_EX) != 0)
		return (ctl_error(CTL_FAIL, "%s: %s", run_dir(),
		    strerror(errno)));
	s = dial(name);
	if (s >= 0 || errno == EAGAIN) {
		if (s >= 0)
			close(s);
		return (ctl_error(CTL_FAIL, "%s runs already; `vmctl stop "
		    "%s', or take another name", name, name));
	}
	/* The socket of one that was killed, and nothing else of that name. */
	if (errno == ECONNREFUSED && lstat(own.sun_path, &st) == 0 &&
	    S_ISSOCK(st.st_mode))
		unlink(own.sun_path);
	s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s < 0 || bind(s, (void *)&own, sizeof(own)) != 0 ||
	    chmod(own.sun_path, 0600) != 0 || listen(s, 64) != 0)
		return (ctl_error(CTL_FAIL, "%s: %s%s", own.sun_path,
		    strerror(errno), errno == EADDRINUSE ? "; remove it, or "
		    "take another name" : ""));
	listening = s;
	return (CTL_OK);
}

int
control_listen(const char *name)
{
	int dir, status;

	if (mkdir(run_dir(), 0700) != 0 && errno != EEXIST)
		return (ctl_error(CTL_FAIL, "%s: %s; be root, or set VMM_RUN",
		    run_dir(), strerror(errno)));
	if (!address(&own, name))
		return (ctl_error(CTL_FAIL, "%s/%s: longer than a socket's "
		    "path may be", run_dir(), name));
	dir = open(run_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return (ctl_error(CTL_FAIL, "%s: %s; be root, or set VMM_RUN",
		    run_dir(), strerror(errno)));
	status = listen_as(name, dir);
	close(dir);
	return (status);
}

void
control_stop(void)
{
	if (listening < 0)
		return;
	listening = -1;			/* once, even if a signal comes */
	unlink(own.sun_path);
}

void
control_log(void)
{
	char path[sizeof(own.sun_path) + sizeof(CONTROL_LOG)];
	int fd;

	snprintf(path, sizeof(path), "%s" CONTROL_LOG, own.sun_path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC,
	    0600);
	if (fd < 0)
		fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	dup2(fd, STDERR_FILENO);
	close(fd);
}

/* Without the lock: a VM that hangs still says that it is there. */
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
	char req[LINE];
	size_t n = 0;

	/* One byte at a time: what follows may be for the guest. */
	while (n < sizeof(req) - 1 && read(s, &req[n], 1) == 1 &&
	    req[n] != '\n')
		n++;
	req[n] = '\0';
	if (strcmp(req, "status") == 0)
		answer_status(s, m);
	else if (strcmp(req, "pause") == 0 || strcmp(req, "unpause") == 0)
		dprintf(s, mon_pause(m, req[0] == 'p') ? "ok\n" : "ends\n");
	else if (strcmp(req, "leave") == 0) {
		if (m->config->console && !m->left)
			control_log();
		m->left = true;
		dprintf(s, "ok\n");
	} else if (strcmp(req, "stop") == 0) {
		mon_lock(m);
		mon_finish(m, END_STOPPED);
		mon_unlock(m);
		return (true);	/* it hangs up when the VM has ended */
	} else if (strcmp(req, "console") == 0) {
		patience(s, 0);
		return (machine_attach(m, s) == 0);
	} else
		dprintf(s, "no such request: %s\n", req);
	return (false);
}

static void *
serve_main(void *arg)
{
	int s = (int)(intptr_t)arg;

	patience(s, PATIENCE);
	if (!serve(s, served))
		close(s);
	return (NULL);
}

/* A thread for each request: one may have to wait, or never come. */
static void *
control_main(void *arg)
{
	pthread_t t;
	int s;

	(void)arg;
	for (;;) {
		s = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
		if (s < 0) {
			if (errno == EBADF || errno == EINVAL)
				return (NULL);
			usleep(10000);		/* no descriptor left */
		} else if (pthread_create(&t, NULL, serve_main,
		    (void *)(intptr_t)s) == 0)
			pthread_detach(t);
		else
			close(s);
	}
}

int
control_start(struct mon *m)
{
	pthread_t t;
	int error;

	served = m;
	error = pthread_create(&t, NULL, control_main, NULL);
	if (error == 0)
		pthread_detach(t);
	return (error);
}

/*
 * --- In another process. ---
 */

/* The process at the other end; 0: unknown. */
static pid_t
peer(int s)
{
	struct ucred cred = { .pid = 0 };
	socklen_t len = sizeof(cred);

	getsockopt(s, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	return (cred.pid);
}

static void
ask(int s, const char *request)
{
	char line[LINE];
	int n = snprintf(line, sizeof(line), "%s\n", request);

	(void)!send(s, line, (size_t)n, MSG_NOSIGNAL);
}

/* The answer to its end. False: none came in time (EAGAIN), or it hung up. */
static bool
answer(int s, char line[LINE])
{
	size_t n = 0;
	ssize_t r = 1;

	errno = 0;
	while (n < LINE - 1 && r > 0) {
		r = read(s, line + n, LINE - 1 - n);
		if (r > 0)
			n += (size_t)r;
	}
	line[n] = '\0';
	return (n > 0 && r == 0);
}

static int
silent(const char *name)
{
	return (ctl_error(CTL_FAIL, "%s does not answer; `vmctl stop -f %s' "
	    "ends it", name, name));
}

/*
 * The next VM in the directory that answers the phone: its name, and in *s a
 * socket to it; NULL: there is no other.
 */
static const char *
next_vm(DIR *d, int *s)
{
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		*s = dial(e->d_name);
		if (*s >= 0)
			return (e->d_name);	/* others were killed */
		if (errno == EAGAIN)
			(void)silent(e->d_name);
	}
	return (NULL);
}

/* The name of the VM with that id, or the name itself. */
static const char *
name_of(const char *who, char *copy, size_t len)
{
	char *end, line[LINE];
	const char *name;
	unsigned long id;
	bool found;
	DIR *d;
	int s;

	id = strtoul(who, &end, 10);
	if (who[0] < '0' || who[0] > '9' || *end != '\0')
		return (who);
	d = opendir(run_dir());
	while ((name = next_vm(d, &s)) != NULL) {
		ask(s, "status");
		found = answer(s, line) && strtoul(line, NULL, 10) == id;
		close(s);
		if (found) {
			snprintf(copy, len, "%s", name);
			who = copy;
			break;
		}
	}
	if (d != NULL)
		closedir(d);
	return (who);
}

/* To a VM by name or id. A socket, or -1 and told. */
static int
reach(const char *who)
{
	char name[256];
	int s = -1;

	errno = ENOENT;
	if (who[0] != '\0' && who[0] != '.' && strchr(who, '/') == NULL)
		s = dial(name_of(who, name, sizeof(name)));
	if (s >= 0)
		return (s);
	if (errno == EAGAIN)
		silent(who);
	else if (errno == ENOENT || errno == ECONNREFUSED)
		ctl_error(CTL_FAIL, "%s: no such VM runs; `vmctl status' "
		    "lists those that do", who);
	else
		ctl_error(CTL_FAIL, "%s/%s: %s; be root, or set VMM_RUN",
		    run_dir(), who, strerror(errno));
	return (-1);
}

/* One request that is answered with "ok". */
int
control_ask(const char *who, const char *request)
{
	int s = reach(who), error;
	char line[LINE];
	bool told;

	if (s < 0)
		return (CTL_FAIL);
	ask(s, request);
	told = answer(s, line);
	error = errno;
	close(s);
	if (told && strcmp(line, "ok\n") == 0)
		return (CTL_OK);
	if (error == EAGAIN)
		return (silent(who));
	return (ctl_error(CTL_FAIL, "%s: %s: it has come to its end", who,
	    request));
}

/*
 * A line about a VM; of one that hangs, what can be known from outside. One
 * that has just ended has none.
 */
static int
status_of(const char *name, int s)
{
	char line[LINE];

	ask(s, "status");
	if (answer(s, line)) {
		fputs(line, stdout);
		return (CTL_OK);
	}
	if (errno != EAGAIN)
		return (CTL_OK);
	printf("%5s %7d %5s %8s %-9s %s\n", "-", (int)peer(s), "-", "-",
	    "silent", name);
	return (silent(name));
}

/* opendir() that says what is wrong. A directory not made yet is empty. */
static int
open_run_dir(DIR **d)
{
	*d = opendir(run_dir());
	return (*d != NULL || errno == ENOENT ? CTL_OK : ctl_error(CTL_FAIL,
	    "%s: %s; be root, or set VMM_RUN", run_dir(), strerror(errno)));
}

/* A command that takes one VM and no option. */
static bool
names_one(int argc, char **argv)
{
	return (argc == 2 && argv[1][0] != '-');
}

int
status_main(int argc, char **argv)
{
	const char *name = argv[1];
	int s = -1, status = CTL_OK;
	DIR *d = NULL;

	if (argc > 1 && !names_one(argc, argv))
		return (ctl_error(CTL_USAGE, "usage: vmctl status [name|id]"));
	if (name != NULL && (s = reach(name)) < 0)
		return (CTL_FAIL);
	if (name == NULL && open_run_dir(&d) != CTL_OK)
		return (CTL_FAIL);
	printf("%5s %7s %5s %8s %-9s %s\n", "ID", "PID", "VCPUS", "MEMORY",
	    "STATE", "NAME");
	if (name == NULL)
		name = next_vm(d, &s);
	while (name != NULL) {
		status |= status_of(name, s);
		close(s);
		name = next_vm(d, &s);
	}
	if (d != NULL)
		closedir(d);
	return (status);
}

/*
 * End a VM, and wait until it has. By force: its process is killed, and the
 * driver takes the VM away with it; this needs no answer from the process.
 */
static int
stop_one(const char *name, int s, bool force)
{
	char c;
	ssize_t n;
	pid_t pid = peer(s);
	bool told = false;

	if (!force)
		ask(s, "stop");
	else if (pid <= 0 || kill(pid, SIGKILL) != 0) {
		close(s);
		return (ctl_error(CTL_FAIL, "%s: process %d: %s", name,
		    (int)pid, strerror(errno)));
	}
	patience(s, PATIENCE_STOP);
	while ((n = read(s, &c, 1)) != 0) {
		if (n > 0 || errno == EINTR)
			continue;
		if (errno != EAGAIN)
			break;			/* killed */
		if (!told)
			ctl_error(CTL_OK, "%s has not ended yet%s", name,
			    force ? "" : "; `vmctl stop -f' does not wait for "
			    "its disks");
		told = true;
	}
	close(s);
	return (CTL_OK);
}

int
stop_main(int argc, char **argv)
{
	bool all = false, force = false;
	int c, s, status = CTL_OK;
	const char *name;
	DIR *d;

	opterr = 0;
	while ((c = getopt(argc, argv, "af")) != -1)
		if (c == 'a')
			all = true;
		else if (c == 'f')
			force = true;
		else
			return (ctl_error(CTL_USAGE, "stop: no option -%c; "
			    CONTROL_STOP_USAGE, optopt));
	if (optind + (all ? 0 : 1) != argc)
		return (ctl_error(CTL_USAGE, CONTROL_STOP_USAGE));
	if (!all) {
		s = reach(argv[optind]);
		return (s < 0 ? CTL_FAIL : stop_one(argv[optind], s, force));
	}
	if (open_run_dir(&d) != CTL_OK)
		return (CTL_FAIL);
	while ((name = next_vm(d, &s)) != NULL)
		status |= stop_one(name, s, force);
	if (d != NULL)
		closedir(d);
	return (status);
}

/* pause, unpause. */
int
pause_main(int argc, char **argv)
{
	if (!names_one(argc, argv))
		return (ctl_error(CTL_USAGE, "usage: vmctl %s name|id",
		    argv[0]));
	return (control_ask(argv[1], argv[0]));
}

int
console_main(int argc, char **argv)
{
	int s, r;

	if (!names_one(argc, argv))
		return (ctl_error(CTL_USAGE,
		    "usage: vmctl console name|id"));
	s = reach(argv[1]);
	if (s < 0)
		return (CTL_FAIL);
	ask(s, "console");
	patience(s, 0);
	r = console_client(s);
	if (r < 0)
		return (ctl_error(CTL_FAIL, "standard output: %s",
		    strerror(errno)));
	if (r == 1)
		fprintf(stderr, "\n");		/* the prompt's own line */
	return (CTL_OK);
}
