/* SPDX-License-Identifier: ISC */
/*
 * start.c - `vmctl start', and the process that then has the VM.
 *
 * It is a child of its own session where the system has processes. The parent
 * waits until the VM exists, or with -c is its console to the end. On metal,
 * which has one process, the VM runs right here.
 */
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "console.h"
#include "control.h"
#include "machine.h"
#include "vmctl.h"

#define MEMORY_MIB	512
#define MEMORY_MAX_MIB	32768

static const char start_usage[] =
    "usage: vmctl start [-c] [-b kernel] [-r initrd] [-a cmdline] [-d disk]\n"
    "           [-n user|tap=IF] [-m size] [-s vcpus] [-t seconds] name";

/* Bytes of "512", "512M" or "2G"; 0: it is no size. `unit` if none is said. */
static uint64_t
parse_size(const char *s, uint64_t unit)
{
	char *end;
	uint64_t n;

	errno = 0;
	n = strtoull(s, &end, 10);
	if (s[0] < '0' || s[0] > '9' || errno != 0)
		return (0);
	switch (*end) {
	case '\0':
		end--;
		break;
	case 'k': case 'K':
		unit = 1024;
		break;
	case 'm': case 'M':
		unit = CLIENT_MIB;
		break;
	case 'g': case 'G':
		unit = 1024 * CLIENT_MIB;
		break;
	default:
		return (0);
	}
	return (end[1] != '\0' || n > UINT64_MAX / unit ? 0 : n * unit);
}

/* A number of 1 .. max; 0: it is none. */
static unsigned int
parse_count(const char *s, unsigned long max)
{
	char *end;
	unsigned long n = strtoul(s, &end, 10);

	return (s[0] < '0' || s[0] > '9' || *end != '\0' || n > max ? 0 :
	    (unsigned int)n);
}

/* One option. Returns: CTL_OK, or told. */
static int
parse_option(struct mon_config *c, int option)
{
	switch (option) {
	case 'c':
		c->console = true;
		return (CTL_OK);
	case 'b':
		c->kernel = optarg;
		return (CTL_OK);
	case 'r':
		c->initrd = optarg;
		return (CTL_OK);
	case 'a':
		c->cmdline = optarg;
		return (CTL_OK);
	case 'd':
		if (c->ndisks == MON_DISKS)
			return (ctl_error(CTL_USAGE, "start: more than %d "
			    "disks", MON_DISKS));
		c->disk[c->ndisks++] = optarg;
		return (CTL_OK);
	case 'n':
		if (c->nnics == MON_NICS)
			return (ctl_error(CTL_USAGE, "start: more than %d "
			    "network interfaces", MON_NICS));
		if (strcmp(optarg, "user") != 0 &&
		    strncmp(optarg, "tap=", 4) != 0)
			return (ctl_error(CTL_USAGE, "start: -n %s: say user, "
			    "or tap=IF", optarg));
		c->nic[c->nnics++] = optarg;
		return (CTL_OK);
	case 'm':
		c->memory = parse_size(optarg, CLIENT_MIB);
		if (c->memory == 0 || c->memory % CLIENT_MIB != 0 ||
		    c->memory / CLIENT_MIB > MEMORY_MAX_MIB)
			return (ctl_error(CTL_USAGE, "start: -m %s: whole MiB,"
			    " up to %dM", optarg, MEMORY_MAX_MIB));
		return (CTL_OK);
	case 's':
		c->ncpus = parse_count(optarg, VMM_MAX_VCPUS_PER_VM);
		if (c->ncpus == 0)
			return (ctl_error(CTL_USAGE, "start: -s %s: 1 to %d "
			    "VCPUs", optarg, VMM_MAX_VCPUS_PER_VM));
		return (CTL_OK);
	case 't':
		c->seconds = parse_count(optarg, 1000000);
		if (c->seconds == 0)
			return (ctl_error(CTL_USAGE, "start: -t %s: a number "
			    "of seconds", optarg));
		return (CTL_OK);
	}
	return (ctl_error(CTL_USAGE, "%s", start_usage));
}

/* A name is a file's, and no number: those are ids. */
static bool
name_valid(const char *name)
{
	size_t n = strlen(name);

	return (n > 0 && n <= MON_NAME_MAX && name[0] != '.' &&
	    strchr(name, '/') == NULL && strspn(name, "0123456789") != n);
}

static int
parse(int argc, char **argv, struct mon_config *c)
{
	int option, status;

	*c = (struct mon_config){ .memory = MEMORY_MIB * CLIENT_MIB,
	    .ncpus = 1, .cmdline = "" };
	opterr = 0;
	while ((option = getopt(argc, argv, ":cb:r:a:d:n:m:s:t:")) != -1) {
		status = parse_option(c, option);
		if (status != CTL_OK)
			return (status);
	}
	if (optind + 1 != argc)
		return (ctl_error(CTL_USAGE, "%s", start_usage));
	c->name = argv[optind];
	if (!name_valid(c->name))
		return (ctl_error(CTL_USAGE, "start: `%s' is no name: 1 to %d "
		    "characters, no slash, not all digits", c->name,
		    MON_NAME_MAX));
	if (c->kernel == NULL)
		return (ctl_error(CTL_USAGE, "start: no kernel; -b file: "
		    "there is no firmware that would boot a disk"));
	return (CTL_OK);
}

/* What is said when the VM has ended, and the exit status. */
static int
end_status(const struct mon_config *c, enum mon_end end)
{
	static const char *const text[] = {
		[END_HALTED] = "halted", [END_DONE] = "done",
		[END_STOPPED] = "stopped", [END_TIME] = "its time is over",
	};

	if (end == END_FAILED)
		return (CTL_FAIL);
	if (c->console)
		fprintf(stderr, "vmctl: %s: %s\n", c->name, text[end]);
	return (CTL_OK);
}

/* SIGTERM, SIGINT and SIGHUP end the VM; blocked in every other thread. */
static void *
signal_main(void *arg)
{
	struct mon *m = arg;
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	while (sigwait(&set, &sig) != 0)
		continue;
	pthread_mutex_lock(&m->lock);
	mon_finish(m, END_STOPPED);
	pthread_mutex_unlock(&m->lock);
	return (NULL);
}

static int
signals_start(struct mon *m)
{
	pthread_t t;
	sigset_t set;
	int error;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	error = pthread_create(&t, NULL, signal_main, m);
	if (error == 0)
		pthread_detach(t);
	return (error);
}

/*
 * The process that has the VM. `ready` is closed when the VM exists; -1: the
 * terminal is here.
 */
static int
start_vm(const struct mon_config *c, int ready)
{
	static struct mon m;
	enum mon_end end = END_FAILED;
	int status = CTL_FAIL;

	if (mon_create(&m, c) == CTL_OK &&
	    (ready < 0 || (signals_start(&m) == 0 && control_start(&m) == 0))) {
		if (ready < 0) {
			if (isatty(STDIN_FILENO))
				terminal_raw(STDIN_FILENO);
			(void)machine_attach_here(&m);
		} else {
			(void)!write(ready, "", 1);
			close(ready);
		}
		end = mon_run(&m);
		status = CTL_OK;
	}
	mon_destroy(&m);
	control_stop();
	terminal_restore();
	if (status == CTL_OK)
		status = end_status(c, end);
	return (status);
}

/* The parent's part: `sock` leads to the VM's serial line, or is -1. */
static int
start_wait(pid_t pid, int sock)
{
	int status;

	if (sock >= 0) {
		dprintf(sock, "console\n");
		if (console_client(sock) == 1)
			return (CTL_OK);	/* `~.': it runs on */
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return (CTL_FAIL);
	return (WIFEXITED(status) ? WEXITSTATUS(status) : CTL_FAIL);
}

/* Metal: no process but this, and no sockets. */
static bool
one_process(void)
{
	int fd = open("/proc/metal", O_RDONLY);

	if (fd >= 0)
		close(fd);
	return (fd >= 0);
}

static pid_t vm_process;

/* A signal that would end the console ends the VM: it hangs up then. */
static void
pass_on(int sig)
{
	kill(vm_process, sig);
}

int
start_main(int argc, char **argv)
{
	struct mon_config c;
	int status, ready[2], s;
	char byte;

	status = parse(argc, argv, &c);
	if (status != CTL_OK)
		return (status);
	if (one_process())
		return (start_vm(&c, -1));
	if (pipe(ready) != 0)
		return (ctl_error(CTL_FAIL, "pipe: %s", strerror(errno)));
	status = control_listen(c.name);
	if (status != CTL_OK)
		return (status);
	fflush(NULL);
	vm_process = fork();
	if (vm_process == 0) {
		close(ready[0]);
		setsid();
		s = open("/dev/null", O_RDWR);
		dup2(s, STDIN_FILENO);
		if (!c.console)
			dup2(s, STDOUT_FILENO);
		exit(start_vm(&c, ready[1]));
	}
	close(ready[1]);
	if (vm_process < 0) {
		control_stop();
		return (ctl_error(CTL_FAIL, "fork: %s", strerror(errno)));
	}
	if (read(ready[0], &byte, 1) != 1)
		return (start_wait(vm_process, -1));	/* it has told why */
	if (!c.console)
		return (CTL_OK);
	signal(SIGTERM, pass_on);
	signal(SIGINT, pass_on);
	signal(SIGHUP, pass_on);
	return (start_wait(vm_process, control_connect(c.name)));
}

/* create FILE SIZE: a raw disk that takes room only where it is written. */
int
create_main(int argc, char **argv)
{
	uint64_t size;
	int fd;

	if (argc != 3)
		return (ctl_error(CTL_USAGE, "usage: vmctl create disk size"));
	size = parse_size(argv[2], CLIENT_MIB);
	if (size == 0 || size % 512 != 0 || size > INT64_MAX)
		return (ctl_error(CTL_USAGE, "create: size `%s': say 512M or "
		    "2G", argv[2]));
	fd = open(argv[1], O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return (ctl_error(CTL_FAIL, "%s: %s%s", argv[1],
		    strerror(errno), errno == EEXIST ? "; remove it first" :
		    ""));
	if (ftruncate(fd, (off_t)size) != 0 || close(fd) != 0) {
		unlink(argv[1]);
		return (ctl_error(CTL_FAIL, "%s: %s", argv[1],
		    strerror(errno)));
	}
	return (CTL_OK);
}
