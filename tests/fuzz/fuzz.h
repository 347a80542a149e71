/* SPDX-License-Identifier: ISC */
/*
 * fuzz.h - a world for a device whose guest is a string of random bytes.
 *
 * fuzz_NAME.c is a target: a program that libFuzzer feeds. It defines
 * fuzz_target, and says in its header which files it is about ("Fuzzes:").
 * The bytes are read as steps: an access to a port, time that passes, or
 * something that only this target knows.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdlib.h>
#include <string.h>

#include "dev.h"

#define FUZZ_LINES	32

/*
 * start: the device as new, on fuzz_bus; before each input.
 * port: the port that an access goes to; NULL: no accesses, and no time. All
 *	steps are the target's own then.
 * step: a step of the target's own; NULL: it has none. `what` is any byte.
 * check: after each step: is all as it should be? NULL: it is.
 */
struct fuzz_target {
	void		(*start)(void);
	uint16_t	(*port)(void);
	void		(*step)(uint8_t what);
	void		(*check)(void);
};
extern const struct fuzz_target fuzz_target;

extern struct bus	fuzz_bus;
extern struct timers	fuzz_timers;
extern uint64_t		fuzz_now;	/* ns */
extern bool		fuzz_level[FUZZ_LINES];	/* of lines, by nr */
extern unsigned int	fuzz_logs;		/* lines logged so far */

/*
 * 8, 16, 32: the next bytes of the input; zeros behind its end.
 * steps: so many steps; fewer at the input's end. For a call of the device
 *	out into the world, while which the guest's CPUs run.
 * line: a line whose level is remembered.
 * check: ends the program if it does not hold.
 */
uint8_t		fuzz_8(void);
uint16_t	fuzz_16(void);
uint32_t	fuzz_32(void);
void		fuzz_steps(unsigned int n);
struct line	fuzz_line(int nr);

#define fuzz_check(x)	do { if (!(x)) abort(); } while (0)

#endif /* FUZZ_H */
