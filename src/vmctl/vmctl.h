/* SPDX-License-Identifier: ISC */
/*
 * vmctl.h - what the files of vmctl share.
 *
 *	main.c	the command line
 *	cmd.c	one table of commands, used by the command line and the shell
 *	ioctl.c	the commands
 *	view.c	those that show what the driver tells of all VMs
 *	show.c	exits, registers and memory as text
 *	shell.c	the prompt: line editing and history
 *	tour*	eleven ioctls, each with a guest of tour_guests.S
 */
#ifndef VMCTL_H
#define VMCTL_H

#include "client.h"

/* Exit status, and what a command returns. */
#define CTL_OK		0
#define CTL_FAIL	1
#define CTL_USAGE	2

#define CTL_VMS		8	/* VMs of one session */
#define CTL_WORDS	16	/* words of one command */
#define CTL_LINE	256	/* bytes of one command line */

struct ctl_vm {
	struct client_vm	v;
	int			mode;	/* of the guest loaded last */
	bool			loaded;
	bool			reset;	/* RESETCPU was done */
};

struct ctl {
	int		 fd;		/* -1: not opened yet */
	struct ctl_vm	 vms[CTL_VMS];	/* v.id 0: free */
	struct ctl_vm	*cur;		/* NULL: none */
	bool		 quit;
};

/* main.c */
int	ctl_error(int, const char *, ...)
	    __attribute__((format(printf, 2, 3)));

/* cmd.c */
int	ctl_open(void);
int	ctl_exec(struct ctl *, int, char **);
int	ctl_exec_line(struct ctl *, char *);
void	ctl_close(struct ctl *);

/* ioctl.c, view.c, shell.c: the commands. */
int	cmd_create(struct ctl *, int, char **);
int	cmd_reset(struct ctl *, int, char **);
int	cmd_run(struct ctl *, int, char **);
int	cmd_step(struct ctl *, int, char **);
int	cmd_info(struct ctl *, int, char **);
int	cmd_term(struct ctl *, int, char **);
int	cmd_intr(struct ctl *, int, char **);
int	cmd_regs(struct ctl *, int, char **);
int	cmd_setreg(struct ctl *, int, char **);
int	cmd_params(struct ctl *, int, char **);
int	cmd_protect(struct ctl *, int, char **);
int	cmd_use(struct ctl *, int, char **);
int	cmd_load(struct ctl *, int, char **);
int	cmd_answer(struct ctl *, int, char **);
int	cmd_mem(struct ctl *, int, char **);
int	cmd_dump(struct ctl *, int, char **);
int	cmd_trace(struct ctl *, int, char **);
int	cmd_explain(struct ctl *, int, char **);
int	cmd_history(struct ctl *, int, char **);
int	cmd_quit(struct ctl *, int, char **);

/* ioctl.c */
bool	ctl_number(int, char **, int, uint64_t, uint64_t *);

/* view.c */
int	view_explain(uint32_t, uint32_t);

/* show.c */
char	*show_commas(uint64_t, char[32]);
const char *show_reason(const struct client_vm *);
void	show_exit(const struct client_vm *, uint64_t);
void	show_regs(const struct vcpu_reg_state *, uint64_t);
uint64_t show_set_reg(struct vcpu_reg_state *, const char *, uint64_t);
void	show_mem(const uint8_t *, uint64_t, size_t);
void	show_info(const struct vm_info_result *);

/* shell.c */
int	shell_main(struct ctl *);

/* tour_main.c */
int	tour_main(int, char **);

/* start.c, control.c: the monitor's commands, with the words after vmctl. */
int	start_main(int, char **);
extern const char start_usage[];
uint64_t parse_size(const char *, uint64_t unit);
int	create_main(int, char **);
int	status_main(int, char **);
int	stop_main(int, char **);
int	pause_main(int, char **);
int	console_main(int, char **);

#endif /* VMCTL_H */
