/* SPDX-License-Identifier: ISC */
/*
 * cond.h - a condition whose timed waits go by a clock that nobody sets.
 */
#ifndef COND_H
#define COND_H

#include <pthread.h>
#include <time.h>

static inline void
cond_init(pthread_cond_t *c)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(c, &attr);
	pthread_condattr_destroy(&attr);
}

#endif /* COND_H */
