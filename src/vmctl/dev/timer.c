/* SPDX-License-Identifier: ISC */
/*
 * timer.c - timers of devices, one list by time.
 */
#include "dev.h"

uint64_t
timers_now(const struct timers *ts)
{
	return (ts->now(ts->arg));
}

void
timer_init(struct timer *t, void (*fn)(void *), void *arg)
{
	t->fire = fn;
	t->arg = arg;
	t->at = TIME_NEVER;
	t->next = NULL;
}

static void
timer_unlink(struct timers *ts, struct timer *t)
{
	struct timer **p;

	for (p = &ts->first; *p != NULL; p = &(*p)->next)
		if (*p == t) {
			*p = t->next;
			break;
		}
	t->at = TIME_NEVER;
}

void
timer_arm(struct timers *ts, struct timer *t, uint64_t at)
{
	struct timer **p;

	timer_unlink(ts, t);
	if (at == TIME_NEVER)
		return;
	for (p = &ts->first; *p != NULL && (*p)->at <= at; p = &(*p)->next)
		continue;
	t->at = at;
	t->next = *p;
	*p = t;
	if (ts->first == t && ts->changed != NULL)
		ts->changed(ts->arg);
}

void
timers_run(struct timers *ts)
{
	uint64_t now = timers_now(ts);
	struct timer *t;

	while ((t = ts->first) != NULL && t->at <= now) {
		timer_unlink(ts, t);
		t->fire(t->arg);
	}
}

uint64_t
timers_next(const struct timers *ts)
{
	return (ts->first != NULL ? ts->first->at : TIME_NEVER);
}
