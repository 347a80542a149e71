/* SPDX-License-Identifier: ISC */
/*
 * mc146818.h - the clock of a PC at ports 0x70 and 0x71, and the bytes of
 * memory that live on the same battery.
 */
#ifndef MC146818_H
#define MC146818_H

#include "dev.h"

/* Universal time since 1970, rounded down to s, and ns (under 1e9) more. */
typedef void wall_fn(void *arg, int64_t *s, uint32_t *ns);

/* The registers with a date: seconds, minutes, hours ... and the century. */
#define MC_DATE_REGS	8

struct mc146818 {
	uint8_t		 index;		/* port 0x70 */
	uint8_t		 ram[128];	/* all but the date's registers */
	uint8_t		 date[MC_DATE_REGS]; /* they, while the date stands */

	/*
	 * The divider shows the wall clock plus `phase`; the date is the
	 * divider's second plus `offset`.
	 */
	int64_t		 phase;		/* ns, under a second */
	int64_t		 offset;
	int		 weekday;	/* days that the guest's is ahead */
	int64_t		 second, tick;	/* of the divider, when last asked */

	wall_fn		*wall;
	void		*arg;
	struct timers	*timers;
	struct timer	 timer;		/* the next interrupt */
	struct line	 irq;
};

/*
 * init: with a new battery: the date is the wall clock's, the memory 0.
 * reset: once more on a bus, and timers that have forgotten it. The date and
 *	the memory stay, interrupts are off, A and B as firmware sets them.
 *
 * low, high: bytes of memory under 4 GiB and above, for the bytes where a
 * BIOS leaves them.
 */
void	mc146818_init(struct mc146818 *, struct bus *, struct timers *,
	    struct line irq, wall_fn *, void *arg, uint64_t low, uint64_t high);
void	mc146818_reset(struct mc146818 *, struct bus *, uint64_t low,
	    uint64_t high);

#endif /* MC146818_H */
