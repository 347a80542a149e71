/* SPDX-License-Identifier: ISC */
/*
 * start.c - `vmctl start', and the process that then has the VM.
 *
 * It is a child of its own session where the system has processes. The parent
 * waits until the VM exists, or with -c is its console to the end. On metal,
 * which has one process, the VM runs right here.
 */
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "console.h"
#include "control.h"
#include "machine.h"
#include "vmctl.h"

#define DIGITS		"0123456789"
#define NAME_CHARS	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" \
			DIGITS "._-"
#define MEMORY_MIB	512
#define MEMORY_MAX_MIB	32512	/* the hole is below 32 GiB, too */

const char start_usage[] =
    "usage: vmctl start [-c] -b kernel [-r initrd] [-a cmdline] [-d disk]\n"
    "           [-n user|tap=IF] [-m size] [-s vcpus] [-t seconds] name";

/* Bytes of "512", "512M" or "2G"; 0: it is no size. `unit` if none is said. */
uint64_t
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
		    (strncmp(optarg, "tap=", 4) != 0 || optarg[4] == '\0'))
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
	if (option == ':')
		return (ctl_error(CTL_USAGE, "start: -%c wants an argument\n%s",
		    optopt, start_usage));
	return (ctl_error(CTL_USAGE, "start: no option -%c\n%s", optopt,
	    start_usage));
}

/*
 * A name is a file's beside a log, a word of a shell's, and no number: those
 * are ids.
 */
static bool
name_valid(const char *name)
{
	size_t n = strlen(name), log = strlen(CONTROL_LOG);

	return (n > 0 && n <= MON_NAME_MAX && strspn(name, NAME_CHARS) == n &&
	    name[0] != '.' && name[0] != '-' && strspn(name, DIGITS) != n &&
	    (n < log || strcmp(name + n - log, CONTROL_LOG) != 0));
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
		    "letters, digits, dots, dashes and _, no dot or dash in "
		    "front, not all digits, no " CONTROL_LOG " behind",
		    c->name, MON_NAME_MAX));
	if (c->kernel == NULL)
		return (ctl_error(CTL_USAGE, "start: %s has no kernel: -b "
		    "file; no firmware is there to boot a disk", c->name));
	return (CTL_OK);
}

/* What is said on `fd' when the VM has ended, and the exit status. */
static int
end_status(const struct mon_config *c, enum mon_end end, int fd)
{
	static const char *const text[] = {
		[END_HALTED] = "halted", [END_DONE] = "done",
		[END_STOPPED] = "stopped", [END_TIME] = "its time is over",
		[END_FAILED] = "failed",
	};

	dprintf(fd, "vmctl: %s: %s\n", c->name, text[end]);
	return (end == END_FAILED ? CTL_FAIL : CTL_OK);
}

/*
 * --- Signals that end the VM. ---
 *
 * By a handler and not by sigwait(2), since a program that a back end runs
 * would inherit what is blocked.
 */

#define ORPHANED	SIGUSR2		/* the console went, and said nothing */

static sem_t ended;
static struct mon *_Atomic running;	/* NULL: it does not yet */

/* A start may wait without end, for a back end or a file: nothing is lost. */
static void
end_signal(int sig)
{
	struct mon *m = running;

	if (m == NULL) {
		control_stop();
		signal(sig, SIG_DFL);
		raise(sig);
	} else if (sig != ORPHANED || !m->left)
		sem_post(&ended);
}

/* SIGPIPE; SIGXFSZ: a write past RLIMIT_FSIZE is an error of the disk's. */
static void
ignored(int sig)
{
	(void)sig;
}

static void *
signal_main(void *arg)
{
	struct mon *m = arg;

	while (sem_wait(&ended) != 0)
		continue;
	mon_lock(m);
	mon_finish(m, END_STOPPED);
	mon_unlock(m);
	return (NULL);
}

static void
signals_init(void)
{
	static const int sigs[] = { SIGTERM, SIGINT, SIGHUP, ORPHANED };
	struct sigaction sa = { .sa_handler = end_signal,
	    .sa_flags = SA_RESTART };
	size_t i;

	sem_init(&ended, 0, 0);
	for (i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++)
		sigaction(sigs[i], &sa, NULL);
	sa.sa_handler = ignored;
	sigaction(SIGPIPE, &sa, NULL);
	sigaction(SIGXFSZ, &sa, NULL);
}

static int
signals_start(struct mon *m)
{
	pthread_t t;
	int error = pthread_create(&t, NULL, signal_main, m);

	if (error == 0) {
		running = m;
		pthread_detach(t);
	}
	return (error);
}

/*
 * --- The process that has the VM. ---
 */

/* Metal: this process is all there is, and its terminal the serial line. */
static int
start_here(const struct mon_config *c)
{
	static struct mon m;
	int status = mon_create(&m, c);

	if (status == CTL_OK) {
		if (isatty(STDIN_FILENO))
			terminal_raw(STDIN_FILENO);
		if (machine_attach_here(&m) != 0)
			status = ctl_error(CTL_FAIL, "no thread for the "
			    "console");
		else
			mon_run(&m);
	}
	mon_destroy(&m);
	terminal_restore();
	return (status != CTL_OK ? status :
	    end_status(c, m.end, STDERR_FILENO));
}

/* `ready' gets a byte when the VM exists, and at the end how that came. */
static int
start_vm(const struct mon_config *c, int ready, int sock)
{
	static struct mon m;
	int status;

	signals_init();
	status = control_listen(c->name);
	if (status == CTL_OK)
		status = mon_create(&m, c);
	if (status == CTL_OK && (signals_start(&m) != 0 ||
	    control_start(&m) != 0 ||
	    (sock >= 0 && machine_attach(&m, sock) != 0)))
		status = ctl_error(CTL_FAIL, "%s: no thread", c->name);
	if (status == CTL_OK) {
		if (sock < 0)
			control_log();
		(void)!write(ready, "", 1);
		mon_run(&m);
	}
	mon_destroy(&m);
	if (status == CTL_OK)
		status = end_status(c, m.end, sock < 0 || m.left ?
		    STDERR_FILENO : ready);
	control_stop();
	return (status);
}

/* After fork(). `terminal': the process whose VM it is, with -c. */
static void
start_child(const struct mon_config *c, int ready, int sock, pid_t terminal)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	dup2(null, STDIN_FILENO);
	if (c->console) {
		prctl(PR_SET_PDEATHSIG, ORPHANED);
		if (getppid() != terminal)
			exit(CTL_FAIL);
	}
	dup2(null, STDOUT_FILENO);
	exit(start_vm(c, ready, sock));
}

/*
 * --- The process that was asked to start it. ---
 */

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

/* How the VM's process ended. */
static int
start_wait(const char *name)
{
	int status;

	while (waitpid(vm_process, &status, 0) < 0)
		if (errno != EINTR)
			return (CTL_FAIL);
	if (WIFSIGNALED(status))
		return (ctl_error(CTL_FAIL, "%s: ended by signal %d (%s)", name,
		    WTERMSIG(status), strsignal(WTERMSIG(status))));
	return (WEXITSTATUS(status));
}

/* -c: the terminal is the VM's to its end, or until `~.'. */
static int
start_console(const char *name, int ready, int sock)
{
	int r = console_client(sock), status;
	char line[128];
	ssize_t n;

	if (r == 1) {
		fprintf(stderr, "\n");
		status = control_ask(name, "leave");
		return (status != CTL_OK ? status : ctl_error(CTL_OK,
		    "%s runs on; `vmctl console %s' comes back to it", name,
		    name));
	}
	if (r < 0) {			/* as if SIGPIPE had ended this */
		ctl_error(0, "standard output: %s", strerror(errno));
		close(sock);
		kill(vm_process, SIGTERM);
	}
	while ((n = read(ready, line, sizeof(line))) > 0 ||
	    (n < 0 && errno == EINTR))
		if (n > 0)
			(void)!write(STDERR_FILENO, line, (size_t)n);
	status = start_wait(name);
	return (r < 0 ? CTL_FAIL : status);
}

int
start_main(int argc, char **argv)
{
	struct mon_config c;
	int status, ready[2], pair[2] = { -1, -1 };
	pid_t self = getpid();
	ssize_t n;
	char byte;

	status = parse(argc, argv, &c);
	if (status != CTL_OK)
		return (status);
	if (one_process())
		return (start_here(&c));
	if (pipe2(ready, O_CLOEXEC) != 0 || (c.console && socketpair(AF_UNIX,
	    SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0))
		return (ctl_error(CTL_FAIL, "%s: %s", c.name,
		    strerror(errno)));
	signal(SIGCHLD, SIG_DFL);	/* ignored, it would hide the end */
	fflush(NULL);
	vm_process = fork();
	if (vm_process == 0) {
		close(ready[0]);
		if (c.console)
			close(pair[0]);
		start_child(&c, ready[1], pair[1], self);
	}
	if (vm_process < 0)
		return (ctl_error(CTL_FAIL, "fork: %s", strerror(errno)));
	close(ready[1]);
	close(pair[1]);
	signal(SIGTERM, pass_on);
	signal(SIGINT, pass_on);
	signal(SIGHUP, pass_on);
	while ((n = read(ready[0], &byte, 1)) < 0 && errno == EINTR)
		continue;
	if (n != 1)
		return (start_wait(c.name));	/* it has told why */
	return (c.console ? start_console(c.name, ready[0], pair[0]) :
	    CTL_OK);
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
