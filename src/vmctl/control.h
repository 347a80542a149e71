/* SPDX-License-Identifier: ISC */
/*
 * control.h - the socket of a running VM: /run/vmm/NAME, or in $VMM_RUN.
 *
 * A client sends one line, the VM's process answers with a line and hangs up,
 * to "stop" when the VM has ended; after "console" both ends are the serial
 * line. "leave": whoever started the VM goes away, and it is not to end then.
 */
#ifndef CONTROL_H
#define CONTROL_H

#include "mon.h"

#define CONTROL_LOG	".log"		/* behind the name: a file's */
#define CONTROL_STOP_USAGE \
	"usage: vmctl stop [-f] name|id, or vmctl stop [-f] -a"

/*
 * listen: makes the socket of a VM; 0, or told: that name runs already.
 * start: a thread that serves it.
 * log: what goes to stderr goes to a file beside the socket from now on.
 * stop: takes the socket away.
 * ask: one request of another process, answered with "ok". Returns CTL_*.
 */
int	control_listen(const char *name);
int	control_start(struct mon *);
void	control_log(void);
void	control_stop(void);
int	control_ask(const char *name, const char *request);

#endif /* CONTROL_H */
