/* SPDX-License-Identifier: ISC */
/*
 * cmd.c - one table of commands, for the command line and for the shell.
 *
 * What every command needs is checked here: the number of its words, an open
 * device, a VM, a VCPU that has registers.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmctl.h"

/* What a command needs; each includes the one before. */
enum needs { NOTHING, DEVICE, VM, STATE };

static int	cmd_help(struct ctl *, int, char **);

static const struct ctl_cmd {
	const char	*name;
	const char	*args;
	const char	*help;
	int		 min, max;	/* arguments */
	enum needs	 needs;
	int		(*fn)(struct ctl *, int, char **);
} commands[] = {
	{ "create", "[MIB [NCPUS [NAME]]]", "CREATE: a VM, the current one",
	    0, 3, DEVICE, cmd_create },
	{ "reset", "[real|prot|pae|long]", "RESETCPU: to a guest's start",
	    0, 1, VM, cmd_reset },
	{ "run", "[GUEST [ARG...]]", "RUN: to the guest's end, exits shown",
	    0, 9, DEVICE, cmd_run },
	{ "step", "[N [VECTOR]]", "RUN: N exits; injects VECTOR first",
	    0, 2, STATE, cmd_step },
	{ "info", "", "INFO: all VMs", 0, 0, DEVICE, cmd_info },
	{ "term", "[VM]", "TERM: ends it", 0, 1, DEVICE, cmd_term },
	{ "intr", "LEVEL", "INTR: 1, an interrupt waits; 0, none",
	    1, 1, VM, cmd_intr },
	{ "regs", "[gpr|seg|cr|msr|dr|all]", "READREGS",
	    0, 5, VM, cmd_regs },
	{ "setreg", "REG VALUE", "WRITEREGS: setreg rip 0x8010",
	    2, 2, VM, cmd_setreg },
	{ "params", "[GPA [VERSION]]", "READVMPARAMS, WRITEVMPARAMS: pvclock",
	    0, 2, VM, cmd_params },
	{ "protect", "GPA SIZE RIGHTS", "MPROTECT_EPT: letters of rwx",
	    3, 3, VM, cmd_protect },
	{ "use", "VM [VCPU]", "which VM and VCPU the commands are for",
	    1, 2, DEVICE, cmd_use },
	{ "load", "GUEST [ARG...]", "a guest image into memory, not started",
	    1, 9, VM, cmd_load },
	{ "answer", "DATA", "what the IN reads that exited last",
	    1, 1, STATE, cmd_answer },
	{ "mem", "GPA [BYTES]", "guest memory in hex", 1, 2, VM, cmd_mem },
	{ "dump", "[FIELD...]", "VMCB or VMCS of each VCPU, from the host",
	    0, 9, NOTHING, cmd_dump },
	{ "trace", "[--json] [N]", "the last exits and ioctls of each VCPU",
	    0, 2, NOTHING, cmd_trace },
	{ "explain", "", "the rule that a refused entry broke",
	    0, 0, NOTHING, cmd_explain },
	{ "help", "[COMMAND]", "this list, or one line of it",
	    0, 1, NOTHING, cmd_help },
	{ "history", "", "the lines typed so far",
	    0, 0, NOTHING, cmd_history },
	{ "quit", "", "ends the shell and its VMs", 0, 0, NOTHING, cmd_quit },
};
#define NCOMMANDS	(sizeof(commands) / sizeof(commands[0]))

/* The command of that name, or NULL, and told. */
static const struct ctl_cmd *
find(const char *name)
{
	size_t i;

	for (i = 0; i < NCOMMANDS; i++)
		if (strcmp(name, commands[i].name) == 0)
			return (&commands[i]);
	ctl_error(CTL_USAGE, "no command `%s'; `help' lists them", name);
	return (NULL);
}

/* The table, or one line of it. */
static int
cmd_help(struct ctl *ctl, int argc, char **argv)
{
	const struct ctl_cmd *one = NULL;
	size_t i;

	(void)ctl;
	if (argc > 1 && (one = find(argv[1])) == NULL)
		return (CTL_USAGE);
	for (i = 0; i < NCOMMANDS; i++)
		if (one == NULL || one == &commands[i])
			printf("  %-8s%-24s %s\n", commands[i].name,
			    commands[i].args, commands[i].help);
	return (CTL_OK);
}

/* Opens /dev/vmm. Returns the descriptor, or -1 and has told. */
int
ctl_open(void)
{
	const char *remedy = "the host's log may say more";
	int fd;

	fd = client_open();
	if (fd != -1)
		return (fd);
	if (errno == ENOENT || errno == ENXIO)
		remedy = "load the driver, or boot the metal host: make run";
	else if (errno == ENODEV)
		remedy = "the CPU has no SVM or VMX with nested paging, or "
		    "the firmware turned it off; the host's log says which";
	else if (errno == EACCES || errno == EPERM)
		remedy = "run vmctl as root";
	ctl_error(CTL_FAIL, "/dev/vmm: %s; %s", strerror(errno), remedy);
	return (-1);
}

/* One command, already in words. Returns its status. */
int
ctl_exec(struct ctl *ctl, int argc, char **argv)
{
	const struct ctl_cmd *cmd = find(argv[0]);

	if (cmd == NULL)
		return (CTL_USAGE);
	if (argc - 1 < cmd->min)
		return (ctl_error(CTL_USAGE, "%s: too few words; it takes %s",
		    cmd->name, cmd->args));
	if (argc - 1 > cmd->max)
		return (ctl_error(CTL_USAGE, "%s: `%s' is too much; it takes "
		    "%s", cmd->name, argv[cmd->max + 1],
		    cmd->max == 0 ? "no argument" : cmd->args));
	if (cmd->needs >= DEVICE && ctl->fd == -1 &&
	    (ctl->fd = ctl_open()) == -1)
		return (CTL_FAIL);
	if (cmd->needs >= VM && ctl->cur == NULL)
		return (ctl_error(CTL_FAIL, "%s: no VM yet; `create' makes "
		    "one", cmd->name));
	if (cmd->needs >= STATE && !ctl->cur->reset)
		return (ctl_error(CTL_FAIL, "%s: the VCPU has no registers "
		    "yet; `load' a guest, then `reset'", cmd->name));
	return (cmd->fn(ctl, argc, argv));
}

/*
 * A line of commands, with ; between and # before a remark. Cuts it to
 * pieces. Returns the status of the first that failed, which ends the line.
 */
int
ctl_exec_line(struct ctl *ctl, char *line)
{
	char *argv[CTL_WORDS + 1], *cmd, *word, *save;
	int argc, status = CTL_OK;

	line[strcspn(line, "#")] = '\0';
	while (status == CTL_OK && !ctl->quit &&
	    (cmd = strsep(&line, ";")) != NULL) {
		argc = 0;
		for (word = strtok_r(cmd, " \t\r\n", &save); word != NULL;
		    word = strtok_r(NULL, " \t\r\n", &save)) {
			if (argc == CTL_WORDS)
				return (ctl_error(CTL_USAGE, "more than %d "
				    "words; shorten the line", CTL_WORDS));
			argv[argc++] = word;
		}
		argv[argc] = NULL;
		if (argc != 0)
			status = ctl_exec(ctl, argc, argv);
	}
	return (status);
}

/* Ends the VMs of the session and closes the device. */
void
ctl_close(struct ctl *ctl)
{
	int i;

	for (i = 0; i < CTL_VMS; i++)
		client_destroy(&ctl->vms[i].v);
	if (ctl->fd != -1)
		close(ctl->fd);
	ctl->fd = -1;
	ctl->cur = NULL;
}
