/* SPDX-License-Identifier: ISC */
/*
 * dev_unit.c - a world for one device.
 */
#include <stdarg.h>
#include <stdio.h>

#include "dev_unit.h"
#include "../../../src/vmctl/vmctl.h"

uint64_t unit_now;
struct timers unit_timers;
bool unit_level[UNIT_LINES];
unsigned int unit_edges[UNIT_LINES];
char unit_log[4096], unit_told[512];
unsigned int unit_tells;

static Suite *suite;

static uint64_t
now(void *arg)
{
	(void)arg;
	return (unit_now);
}

void
unit_start(void)
{
	unit_now = 0;
	unit_timers = (struct timers){ .now = now };
	memset(unit_level, 0, sizeof(unit_level));
	memset(unit_edges, 0, sizeof(unit_edges));
	unit_log[0] = unit_told[0] = '\0';
	unit_tells = 0;
}

TCase *
unit_case(const char *name, void (*setup)(void))
{
	TCase *tc = tcase_create(name);

	suite = suite_create(name);
	tcase_add_checked_fixture(tc, setup, NULL);
	suite_add_tcase(suite, tc);
	return (tc);
}

int
unit_end(void)
{
	SRunner *sr = srunner_create(suite);
	int failed;

	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return (failed != 0);
}

void
unit_run(uint64_t to)
{
	while (timers_next(&unit_timers) <= to) {
		if (timers_next(&unit_timers) > unit_now)
			unit_now = timers_next(&unit_timers);
		timers_run(&unit_timers);
	}
	unit_now = to;
}

static void
set(void *arg, int nr, bool level)
{
	(void)arg;
	if (unit_level[nr] != level)
		unit_edges[nr]++;
	unit_level[nr] = level;
}

struct line
unit_line(int nr)
{
	return ((struct line){ set, NULL, nr });
}

uint32_t
unit_in(struct bus *b, uint16_t port, unsigned int size)
{
	struct io io = { .port = port, .size = (uint8_t)size, .in = true };

	bus_do(b, &io);
	return (io.data);
}

void
unit_out(struct bus *b, uint16_t port, unsigned int size, uint32_t data)
{
	struct io io = { .port = port, .size = (uint8_t)size, .data = data };

	bus_do(b, &io);
}

void
dev_log(const char *fmt, ...)
{
	size_t n = strlen(unit_log);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(unit_log + n, sizeof(unit_log) - n, fmt, ap);
	va_end(ap);
	n = strlen(unit_log);
	snprintf(unit_log + n, sizeof(unit_log) - n, "\n");
}

/* To the person at the terminal. */
int
ctl_error(int status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(unit_told, sizeof(unit_told), fmt, ap);
	va_end(ap);
	unit_tells++;
	return (status);
}
