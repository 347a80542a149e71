/* SPDX-License-Identifier: ISC */
/*
 * fuzz_rtc.c - the clock, and what lives on its battery.
 *
 * Fuzzes: mc146818.c
 */
#include "fuzz.h"
#include "mc146818.h"

#define IRQ	8
#define BINARY	0x04		/* in register B */
#define H24	0x02
#define SET	0x80
#define IRQF	0x80		/* in C */
#define PF	0x40
#define UF	0x10
#define UIP	0x80		/* in A */
#define YEARS	(400LL * 31556952)	/* 400 of them, in s */

static struct mc146818 *rtc;
static int64_t wall_s;
static uint32_t wall_ns;

/* As clock_gettime() has it; it may be set at any time. */
static void
wall(void *arg, int64_t *s, uint32_t *ns)
{
	uint64_t all = wall_ns + fuzz_now;

	(void)arg;
	*s = wall_s + (int64_t)(all / SECOND_NS);
	*ns = all % SECOND_NS;
}

static void
set_wall(void)
{
	static const int64_t t[] = { 0, -1, 951782398, 4107542398, YEARS,
		-YEARS, 20 * YEARS, -20 * YEARS, 1640995199, INT32_MAX,
		UINT32_MAX, -5 * YEARS, 25 * YEARS - 2, 86399, 3599, 59 };
	uint8_t b = fuzz_8();

	wall_s = t[b & 15] + (b & 0x10 ? (int32_t)fuzz_32() : 0);
	wall_ns = b & 0x20 ? fuzz_32() % SECOND_NS : 0;
}

static void
start(void)
{
	static const uint64_t sizes[] = { 0, 64 << 20, 640 << 10, 1ULL << 32,
		(16 << 20) - 1, UINT64_MAX, 3ULL << 30, 1 << 20 };
	uint8_t b = fuzz_8();

	if (rtc == NULL)
		rtc = malloc(sizeof(*rtc));
	set_wall();
	mc146818_init(rtc, &fuzz_bus, &fuzz_timers, fuzz_line(IRQ), wall,
	    NULL, sizes[b & 7], sizes[b >> 3 & 7]);
}

static uint16_t
port(void)
{
	uint8_t b = fuzz_8();

	return (b < 0xf0 ? 0x70 + b % 2 : 0x6f + b % 4);
}

static void
out(uint8_t reg, uint8_t data)
{
	struct io io = { .port = 0x70, .size = 1, .data = reg };

	bus_do(&fuzz_bus, &io);
	io.port = 0x71;
	io.data = data;
	bus_do(&fuzz_bus, &io);
}

static uint8_t
in(uint8_t reg)
{
	struct io io = { .port = 0x70, .size = 1, .data = reg };

	bus_do(&fuzz_bus, &io);
	io.port = 0x71;
	io.in = true;
	bus_do(&fuzz_bus, &io);
	return ((uint8_t)io.data);
}

/* Sets any date, or nearly a good one. */
static void
set_date(void)
{
	static const uint8_t regs[] = { 0, 2, 4, 6, 7, 8, 9, 0x32 };
	static const uint8_t v[] = { 0x59, 0x59, 0x23, 0x07, 0x28, 0x02, 0x99,
		0x20 };
	uint8_t which = fuzz_8();
	unsigned int i;

	for (i = 0; i < 8; i++)
		if (which & 1 << i)
			out(regs[i], fuzz_8());
		else
			out(regs[i], v[i]);
}

static bool
runs(void)
{
	return ((rtc->ram[11] & SET) == 0 && (rtc->ram[10] & 0x70) == 0x20);
}

/* A number that a register of a running clock shows. */
static unsigned int
shown(uint8_t reg)
{
	uint8_t v = in(reg), b = rtc->ram[11];
	bool pm = reg == 4 && !(b & H24) && v & 0x80;

	if (pm)
		v &= 0x7f;
	if (!(b & BINARY)) {
		fuzz_check((v & 15) < 10 && v >> 4 < 10);
		v = (uint8_t)((v >> 4) * 10 + (v & 15));
	}
	if (reg == 4 && !(b & H24)) {
		fuzz_check(v >= 1 && v <= 12);
		v = v % 12 + (pm ? 12 : 0);
	}
	return (v);
}

static void
read_date(void)
{
	static const uint8_t days[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30,
		31, 30, 31 };
	unsigned int month;

	if (!runs())
		return;
	month = shown(8);
	fuzz_check(month >= 1 && month <= 12);
	fuzz_check(shown(0) < 60 && shown(2) < 60 && shown(4) < 24);
	fuzz_check(shown(6) >= 1 && shown(6) <= 7);
	fuzz_check(shown(7) >= 1 && shown(7) <= days[month - 1]);
	fuzz_check(shown(9) < 100 && shown(0x32) < 100);
}

/*
 * Up to three seconds, in eighths: what counts happens around them. Or to
 * 0.1 ms before the next update.
 */
static void
wait_some(uint8_t n)
{
	uint64_t to = fuzz_now + n * SECOND_NS / 8, phase = rtc->phase;
	unsigned int i;

	if (n == 31)
		to = fuzz_now + 2 * SECOND_NS - 100000 -
		    (wall_ns + fuzz_now + phase) % SECOND_NS;
	for (i = 0; i < 100 && timers_next(&fuzz_timers) <= to; i++) {
		fuzz_now = timers_next(&fuzz_timers);
		timers_run(&fuzz_timers);
	}
	fuzz_now = to;
	timers_run(&fuzz_timers);
	if (n == 31)
		fuzz_check((in(10) & UIP) == (runs() ? UIP : 0));
}

static void
step(uint8_t what)
{
	uint8_t b;

	switch (what & 7) {
	case 0:
		set_wall();
		break;
	case 1:
		set_date();
		break;
	case 2:
		read_date();
		break;
	case 3:
		/* Control, or an alarm. */
		b = fuzz_8();
		out(b & 1 ? 11 : b & 2 ? 10 : (b >> 1 & 6) % 6 + 1, fuzz_8());
		break;
	case 4:
		out(10, 0x20 | fuzz_8());
		break;
	case 5:
		out(11, 0x70 & fuzz_8());
		break;
	case 6:
		wait_some(fuzz_8() % 32);
		break;
	case 7:
		in(12);
		fuzz_check((rtc->ram[12] & 0x7f) == 0 && !fuzz_level[IRQ]);
		break;
	}
}

/*
 * The line is what C says, and C what its flags and B say. As long as nothing
 * is up, what is to come and enabled has its timer.
 */
static void
check(void)
{
	uint8_t a = rtc->ram[10], b = rtc->ram[11], c = rtc->ram[12];
	bool divides = (a & 0x70) == 0x20;
	uint64_t in = timers_next(&fuzz_timers) - fuzz_now;

	fuzz_check(fuzz_level[IRQ] == ((c & IRQF) != 0));
	fuzz_check(((c & IRQF) != 0) == ((c & b & 0x70) != 0));
	fuzz_check((c & 0x0f) == 0 && (a & UIP) == 0);
	fuzz_check((b & (SET | UF)) != (SET | UF));
	fuzz_check(rtc->index < 128 && rtc->ram[13] == 0x80);
	fuzz_check(rtc->phase >= 0 && rtc->phase < (int64_t)SECOND_NS);
	if (divides && b & PF && a & 0x0f && !(c & IRQF))
		fuzz_check(in <= SECOND_NS / 2);
	if (runs() && b & UF && !(c & IRQF))
		fuzz_check(in <= SECOND_NS);
}

const struct fuzz_target fuzz_target = { start, port, step, check };
