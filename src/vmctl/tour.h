/* SPDX-License-Identifier: ISC */
/*
 * tour.h - between tour.c, which holds the rows, and tour_main.c, which prints.
 */
#ifndef TOUR_H
#define TOUR_H

#include <stdatomic.h>
#include <time.h>

#include "vmctl.h"

#define TOUR_ROWS	11
#define TOUR_VALUES	8

struct tour;

/* fn returns NULL, or why the row failed. */
struct tour_row {
	int		 nr;
	const char	*name;
	const char	*asked;
	const char	*(*fn)(struct tour *);
};

struct tour {
	int			fd;
	struct client_vm	v;		/* id 0: none */

	/* Of the row. */
	const struct tour_row	*row;
	uint32_t		nonce;		/* what the guest is given */
	uint32_t		got;		/* what it handed back */
	bool			has_got, failed;
	uint32_t		vals[TOUR_VALUES];
	size_t			nvals;
	unsigned int		exits[CLIENT_OTHER + 1];
	uint16_t		reasons[CLIENT_OTHER + 1];
	uint64_t		ticks;		/* of the row's ioctl */
	char			did[64];
	char			why[64];	/* it failed */

	/* RUN in a thread. */
	int			run_error;
	atomic_bool		run_ended;

	/* Of the first RUN. */
	uint64_t		first_run;	/* TSC */
	uint64_t		first_ns;	/* CLOCK_MONOTONIC */
};

extern const struct tour_row tour_rows[TOUR_ROWS];

/* tour_guests.S: each image, and where it ends. */
#define TOUR_GUEST(name)	extern const uint8_t name[], name##_end[]
TOUR_GUEST(tour_reset);
TOUR_GUEST(tour_run);
TOUR_GUEST(tour_regs);
TOUR_GUEST(tour_intr);
TOUR_GUEST(tour_clock);
TOUR_GUEST(tour_msr);
TOUR_GUEST(tour_protect);
TOUR_GUEST(tour_touch);
TOUR_GUEST(tour_term);
TOUR_GUEST(tour_cpuid);
TOUR_GUEST(tour_out);

const char *tour_cost(struct tour *, bool, uint64_t *);

/* The host's own clock, in nanoseconds. */
static inline uint64_t
tour_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (ts.tv_sec * 1000000000UL + ts.tv_nsec);
}

#endif /* TOUR_H */
