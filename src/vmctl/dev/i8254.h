/* SPDX-License-Identifier: ISC */
/*
 * i8254.h - the interval timer of a PC at ports 0x40-0x43, and port 0x61,
 * which is the gate and the output of its third counter.
 */
#ifndef I8254_H
#define I8254_H

#include "dev.h"

#define I8254_HZ	1193182

/* Moments are ticks of the input clock since the VM started. */
struct i8254_counter {
	uint8_t		control;	/* as written, bits 5-0 */
	uint8_t		mode;		/* 0-5 */
	bool		gate;

	/* The count register, and how bytes get there and back. */
	uint8_t		low;		/* the first byte of two */
	bool		second_in, second_out;
	uint32_t	cr;		/* 1-65536; 0: none was written */
	bool		null;		/* not yet in the counting element */

	/* book: i8254-element */
	/* The counting element. */
	uint32_t	n;		/* what it was loaded with; 0: never */
	int64_t		base;		/* when it held n */
	bool		held;		/* it stands still: */
	int64_t		held_at;	/* so long after it held n */
	int64_t		load_at;	/* when it takes cr */
	bool		low_half;	/* mode 3: and begins with OUT low */
	int64_t		synced;		/* it is as it was then */
	bool		rose;		/* OUT did, since it was last asked */
	/* book: end */

	bool		count_latched, status_latched;
	uint16_t	latch;
	uint8_t		status;
};

struct i8254 {
	struct i8254_counter	 c[3];
	uint8_t			 port61;	/* bits 3-0 */
	struct timers		*timers;
	struct timer		 timer;		/* counter 0's next edge */
	struct line		 irq;
};

/* irq: OUT of counter 0. The counters are in mode 0 and wait for a count. */
void	i8254_init(struct i8254 *, struct bus *, struct timers *, struct line);

#endif /* I8254_H */
