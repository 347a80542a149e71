/* SPDX-License-Identifier: ISC */
/*
 * control.h - the socket of a running VM: /run/vmm/NAME, or in $VMM_RUN.
 *
 * A client sends one line, the VM's process answers with lines and hangs up;
 * after "console" both ends are the serial line.
 */
#ifndef CONTROL_H
#define CONTROL_H

#include "mon.h"

/*
 * listen: makes the socket of a VM; 0, or told: that name runs already.
 * start: a thread that serves it.
 * stop: takes it away.
 * connect: to a VM by name or id. A socket, or -1 and told.
 * ask: one request, its answer on stdout. Returns CTL_*.
 */
int	control_listen(const char *name);
int	control_start(struct mon *);
void	control_stop(void);
int	control_connect(const char *name);
int	control_ask(const char *name, const char *request);

#endif /* CONTROL_H */
