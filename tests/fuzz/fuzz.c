/* SPDX-License-Identifier: ISC */
/*
 * fuzz.c - what all targets share: the steps that any device has.
 */
#include <stdarg.h>
#include <stdio.h>

#include "fuzz.h"

#define STEPS		400	/* of one input */
#define FIRINGS		100	/* of timers, in one step */
#define ARMINGS		100	/* of timers, in an access or a firing */

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

struct bus fuzz_bus;
struct timers fuzz_timers;
uint64_t fuzz_now;
bool fuzz_level[FUZZ_LINES];
unsigned int fuzz_logs;

static const uint8_t *next;
static size_t left;
static unsigned int steps, armings;

uint8_t
fuzz_8(void)
{
	if (left == 0)
		return (0);
	left--;
	return (*next++);
}

uint16_t
fuzz_16(void)
{
	uint16_t v = fuzz_8();

	return ((uint16_t)(v | fuzz_8() << 8));
}

uint32_t
fuzz_32(void)
{
	uint32_t v = fuzz_16();

	return (v | (uint32_t)fuzz_16() << 16);
}

static uint64_t
now(void *arg)
{
	(void)arg;
	return (fuzz_now);
}

/* A timer that is always due would keep timers_run() for ever. */
static void
armed(void *arg)
{
	(void)arg;
	fuzz_check(++armings < ARMINGS);
}

static void
set(void *arg, int nr, bool level)
{
	(void)arg;
	fuzz_check(nr >= 0 && nr < FUZZ_LINES);
	fuzz_level[nr] = level;
}

struct line
fuzz_line(int nr)
{
	return ((struct line){ set, NULL, nr });
}

/* The text is made, for the sanitizers to see, and thrown away. */
void
dev_log(const char *fmt, ...)
{
	char line[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	fuzz_logs++;
}

static void
access_port(bool in)
{
	struct io io = { .in = in };
	uint8_t how = fuzz_8();

	io.port = fuzz_target.port();
	io.size = (uint8_t)(1 << how % 3);
	if (!in)
		io.data = how & 0x80 ? fuzz_32() : fuzz_8();
	bus_do(&fuzz_bus, &io);
}

/*
 * From a nanosecond to an hour. Of very many timers in it the last ones come
 * late, as for a VM that did not run.
 */
static void
pass_time(void)
{
	uint64_t to = fuzz_now + ((uint64_t)fuzz_8() << fuzz_8() % 35);
	unsigned int i;

	for (i = 0; i < FIRINGS && timers_next(&fuzz_timers) <= to; i++) {
		if (timers_next(&fuzz_timers) > fuzz_now)
			fuzz_now = timers_next(&fuzz_timers);
		armings = 0;
		timers_run(&fuzz_timers);
	}
	fuzz_now = to;
	armings = 0;
	timers_run(&fuzz_timers);
	fuzz_check(timers_next(&fuzz_timers) > fuzz_now);
}

void
fuzz_steps(unsigned int n)
{
	uint8_t what;

	for (; n > 0 && left > 0 && steps < STEPS; n--) {
		steps++;
		armings = 0;
		what = fuzz_8();
		if (fuzz_target.port == NULL) {
			fuzz_target.step(what);
			continue;
		}
		switch (what % 8) {
		case 0:
		case 1:
			access_port(what % 8 == 1);
			break;
		case 2:
			pass_time();
			break;
		default:
			if (fuzz_target.step != NULL)
				fuzz_target.step(what / 8);
			break;
		}
	}
}

/* The entry that libFuzzer calls with each input. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	next = data;
	left = size;
	steps = 0;
	fuzz_now = 0;
	fuzz_logs = 0;
	memset(fuzz_level, 0, sizeof(fuzz_level));
	fuzz_bus.n = 0;
	armings = 0;
	fuzz_timers = (struct timers){ .now = now, .changed = armed };
	fuzz_target.start();
	while (left > 0 && steps < STEPS) {
		fuzz_steps(1);
		if (fuzz_target.check != NULL)
			fuzz_target.check();
	}
	return (0);
}
