/* SPDX-License-Identifier: ISC */
/*
 * main.c - vmctl, the command line of vmm.
 *
 * Exit status: 0 done; 1 a failure, told in one line; 2 a usage error, told
 * in one line that names the thing and the remedy.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmctl.h"

/* One line on stderr. Returns `status`, so that callers can return this. */
int
ctl_error(int status, const char *fmt, ...)
{
	char line[4096 + 512] = "vmctl: ";	/* a path, what is wrong */
	size_t n = strlen(line);
	va_list ap;

	fflush(stdout);
	va_start(ap, fmt);
	vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
	va_end(ap);
	strcat(line, "\n");
	/* In one piece: a VM's process may have something to tell as well. */
	(void)!write(STDERR_FILENO, line, strlen(line));
	return (status);
}

/* What owns a whole command line; the other commands are in the table. */
static const char usage[] =
    "usage: vmctl COMMAND [ARGUMENT...]\n\n"
    "  tour     [-n NONCE]            each ioctl once, with a guest\n"
    "  shell                          a prompt for the commands below\n"
    "  exec     CMD [; CMD]...        those commands, to the first error\n"
    "\n"
    "  start    -b KERNEL [OPTION...] NAME  a VM with virtual hardware\n"
    "  status   [NAME|ID]             what runs\n"
    "  stop     [-f] NAME|ID|-a       ends it, or all\n"
    "  pause    NAME|ID               it stands still\n"
    "  unpause  NAME|ID               and goes on\n"
    "  console  NAME|ID               its serial line; ~. leaves\n"
    "  create   DISK SIZE             a raw disk, sparse\n"
    "\n";

/* The monitor's. The others are for a shell, where create makes a VM. */
static const struct {
	const char	*name;
	int		(*main)(int, char **);
} programs[] = {
	{ "tour", tour_main }, { "start", start_main },
	{ "status", status_main }, { "stop", stop_main },
	{ "pause", pause_main }, { "unpause", pause_main },
	{ "console", console_main }, { "create", create_main },
};

/* help NAME, for what `usage' has. Returns: it does. */
static bool
help_program(const char *name)
{
	size_t n = strlen(name);
	const char *p;

	for (p = strchr(usage, '\n'); p != NULL; p = strchr(p + 1, '\n'))
		if (strncmp(p, "\n  ", 3) == 0 &&
		    strncmp(p + 3, name, n) == 0 && p[3 + n] == ' ') {
			printf("%.*s\n", (int)strcspn(p + 1, "\n"), p + 1);
			if (strcmp(name, "start") == 0)
				puts(start_usage);
			return (true);
		}
	return (false);
}

/*
 * `exec` and single commands end at the first failure and return it; the VMs
 * they made end with the process.
 */
int
main(int argc, char **argv)
{
	static struct ctl ctl = { .fd = -1 };
	char line[CTL_LINE * 4] = "";
	size_t used = 0;
	int i, status;

	/* What is opened later is none of these three. */
	do
		i = open("/dev/null", O_RDONLY);
	while (i >= 0 && i <= STDERR_FILENO);
	if (i >= 0)
		close(i);
	if (argc < 2)
		return (ctl_error(CTL_USAGE,
		    "no command given; `vmctl help' lists them"));
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 0; i < (int)(sizeof(programs) / sizeof(programs[0])); i++)
		if (strcmp(argv[1], programs[i].name) == 0)
			break;
	if (strcmp(argv[1], "help") == 0 && argc == 2)
		fputs(usage, stdout);
	if (strcmp(argv[1], "help") == 0 && argc == 3 &&
	    help_program(argv[2]) && strcmp(argv[2], "create") != 0)
		status = CTL_OK;	/* create is in both lists */
	else if (i < (int)(sizeof(programs) / sizeof(programs[0])))
		status = programs[i].main(argc - 1, argv + 1);
	else if (strcmp(argv[1], "shell") == 0) {
		if (argc > 2)
			return (ctl_error(CTL_USAGE,
			    "shell: takes no argument, not `%s'", argv[2]));
		status = shell_main(&ctl);
	} else if (strcmp(argv[1], "exec") == 0) {
		for (i = 2; i < argc; i++) {
			used += snprintf(line + used, sizeof(line) - used,
			    "%s ", argv[i]);
			if (used >= sizeof(line))
				return (ctl_error(CTL_USAGE, "exec: longer "
				    "than %zu bytes; use the shell",
				    sizeof(line)));
		}
		status = ctl_exec_line(&ctl, line);
	} else
		status = ctl_exec(&ctl, argc - 1, argv + 1);
	ctl_close(&ctl);
	if (fflush(stdout) != 0 || ferror(stdout))
		status = ctl_error(CTL_FAIL, "standard output: cannot write");
	return (status);
}
