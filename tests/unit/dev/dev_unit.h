/* SPDX-License-Identifier: ISC */
/*
 * dev_unit.h - a world for one device: a clock that stands still until it is
 * told to move, lines that are remembered, what was logged.
 */
#ifndef DEV_UNIT_H
#define DEV_UNIT_H

#include <check.h>
#include <string.h>

#include "dev.h"

#define UNIT_LINES	32

extern uint64_t		unit_now;		/* ns */
extern struct timers	unit_timers;
extern bool		unit_level[UNIT_LINES];	/* of lines, by nr */
extern unsigned int	unit_edges[UNIT_LINES];	/* changes so far */
extern char		unit_log[4096];		/* what dev_log() said */
extern char		unit_told[512];		/* ctl_error() said last */
extern unsigned int	unit_tells;		/* and how often it did */

/*
 * start: everything as new; first thing of each test.
 * case: a suite `name` of one test case, with `setup` before each test.
 * end: runs it; what main() returns.
 * run: moves the clock to `now`, firing timers on the way, each at its time.
 * line: a line whose changes are remembered under `nr`.
 */
void	unit_start(void);
TCase	*unit_case(const char *name, void (*setup)(void));
int	unit_end(void);
void	unit_run(uint64_t now);
struct line unit_line(int nr);

/* An access to a port; to one device alone: make a bus. */
uint32_t unit_in(struct bus *, uint16_t port, unsigned int size);
void	unit_out(struct bus *, uint16_t port, unsigned int size, uint32_t);

#endif /* DEV_UNIT_H */
