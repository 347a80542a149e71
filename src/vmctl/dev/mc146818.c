/* SPDX-License-Identifier: ISC */
/*
 * mc146818.c - the clock of a PC. Names and rules are of Motorola's data
 * sheet of the MC146818.
 *
 * Nothing ticks here: the date is computed when somebody reads it, flags are
 * raised for what went by since somebody last asked. A timer is armed only
 * for an interrupt that is enabled and that is not up yet.
 *
 * The crystal has 32,768 Hz. An update takes no time, so the date is right at
 * every moment; but UIP warns of it, 244 us before. Daylight saving (DSE) and
 * the square wave are bits that can be written, and nothing more.
 */
#include <string.h>

#include "mc146818.h"

enum {
	SECONDS, SECONDS_ALARM, MINUTES, MINUTES_ALARM, HOURS, HOURS_ALARM,
	WEEKDAY, DAY, MONTH, YEAR, REG_A, REG_B, REG_C, REG_D,
	CENTURY = 0x32,
};

#define A_UIP		0x80
#define A_DIVIDER	0x70
#define A_RUN		0x20		/* the divider is one for 32,768 Hz */
#define A_RATE		0x0f
#define B_SET		0x80
#define B_BINARY	0x04
#define B_24H		0x02
/* Of C, and in B whether they interrupt. */
#define IRQF		0x80
#define PF		0x40
#define AF		0x20
#define UF		0x10
#define D_VALID		0x80
#define ANY		0xc0		/* in an alarm: matches always */
#define PM		0x80		/* in an hour */

#define DAY_S		86400
#define UIP_NS		244000
#define CRYSTAL		32768
#define NEVER		INT64_MAX

static const uint8_t date_reg[MC_DATE_REGS] = {
	SECONDS, MINUTES, HOURS, WEEKDAY, DAY, MONTH, YEAR, CENTURY,
};
/* Their places in date[]. */
enum { D_SEC, D_MIN, D_HOUR, D_WEEKDAY, D_DAY, D_MONTH, D_YEAR, D_CENTURY };

/* --- Dates --- */

static int64_t
floor_div(int64_t a, int64_t b)
{
	return (a / b - (a % b < 0));
}

/*
 * Days from 1970-01-01 to a day of the Gregorian calendar. A year begins in
 * March here, so that a leap day is its last; 400 of them have 146,097 days.
 * Days beyond the end of the month count on into the next.
 */
static int64_t
days_of(int64_t year, int month, int day)
{
	int64_t y = year + floor_div(month - 3, 12);
	int m = month - 3 - 12 * floor_div(month - 3, 12);

	return (y * 365 + floor_div(y, 4) - floor_div(y, 100) +
	    floor_div(y, 400) + (153 * m + 2) / 5 + day - 1 - 719468);
}

/* The other way: the year by estimate, which is at most one too high. */
static void
date_of(int64_t days, int64_t *year, int *month, int *day)
{
	*year = floor_div((days + 719468) * 400, 146097) + 1;
	while (days_of(*year, 1, 1) > days)
		--*year;
	*month = 12;
	while (days_of(*year, *month, 1) > days)
		--*month;
	*day = days - days_of(*year, *month, 1) + 1;
}

static uint8_t
encode(const struct mc146818 *m, int v)
{
	return (m->ram[REG_B] & B_BINARY ? v : v / 10 << 4 | v % 10);
}

static int
decode(const struct mc146818 *m, uint8_t v)
{
	return (m->ram[REG_B] & B_BINARY ? v : (v >> 4) * 10 + (v & 15));
}

static uint8_t
encode_hour(const struct mc146818 *m, int hour)
{
	if (m->ram[REG_B] & B_24H)
		return (encode(m, hour));
	return (encode(m, hour % 12 == 0 ? 12 : hour % 12) |
	    (hour >= 12 ? PM : 0));
}

static int
decode_hour(const struct mc146818 *m, uint8_t v)
{
	if (m->ram[REG_B] & B_24H)
		return (decode(m, v));
	return (decode(m, v & ~PM) % 12 + (v & PM ? 12 : 0));
}

/* 1970 began on a Thursday; Sunday is 0 here, and 1 in the register. */
static int
weekday_of(int64_t days)
{
	return (days + 4 - 7 * floor_div(days + 4, 7));
}

static void
to_date(const struct mc146818 *m, int64_t second, uint8_t date[MC_DATE_REGS])
{
	int64_t days = floor_div(second, DAY_S), year;
	int s = second - days * DAY_S, month, day;

	date_of(days, &year, &month, &day);
	date[D_SEC] = encode(m, s % 60);
	date[D_MIN] = encode(m, s / 60 % 60);
	date[D_HOUR] = encode_hour(m, s / 3600);
	date[D_WEEKDAY] = encode(m, (weekday_of(days) + m->weekday) % 7 + 1);
	date[D_DAY] = encode(m, day);
	date[D_MONTH] = encode(m, month);
	year -= 10000 * floor_div(year, 10000);
	date[D_YEAR] = encode(m, year % 100);
	date[D_CENTURY] = encode(m, year / 100);
}

/* Takes any bytes: 61 seconds are a minute and one, 30 February is in March. */
static int64_t
from_date(struct mc146818 *m, const uint8_t date[MC_DATE_REGS])
{
	int64_t days = days_of(decode(m, date[D_CENTURY]) * 100 +
	    decode(m, date[D_YEAR]), decode(m, date[D_MONTH]),
	    decode(m, date[D_DAY]));
	int64_t s = days * DAY_S + decode_hour(m, date[D_HOUR]) * 3600 +
	    decode(m, date[D_MIN]) * 60 + decode(m, date[D_SEC]);
	int ahead;

	ahead = decode(m, date[D_WEEKDAY]) + 6 -
	    weekday_of(floor_div(s, DAY_S));
	m->weekday = ahead % 7;
	return (s);
}

/* --- What has happened, and what will --- */

static bool
divides(const struct mc146818 *m)
{
	return ((m->ram[REG_A] & A_DIVIDER) == A_RUN);
}

/* Whether the date moves. */
static bool
runs(const struct mc146818 *m)
{
	return (divides(m) && !(m->ram[REG_B] & B_SET));
}

/* The divider: its second, and ns of it. */
static int64_t
divider(const struct mc146818 *m, int64_t *second)
{
	uint32_t wall_ns;
	int64_t ns;

	m->wall(m->arg, second, &wall_ns);
	ns = wall_ns + m->phase;
	*second += ns / (int64_t)SECOND_NS;
	return (ns % (int64_t)SECOND_NS);
}

static int64_t
ticks(int64_t second, int64_t ns)
{
	return (second * CRYSTAL + ns * CRYSTAL / (int64_t)SECOND_NS);
}

/* Ticks between two periodic interrupts; 0: there are none. */
static int64_t
period(const struct mc146818 *m)
{
	int rate = m->ram[REG_A] & A_RATE;

	if (rate == 0 || !divides(m))
		return (0);
	return (1 << (rate <= 2 ? rate + 6 : rate - 1));
}

static bool
matches(uint8_t alarm, uint8_t now)
{
	return ((alarm & ANY) == ANY || alarm == now);
}

/*
 * The first date after `second` that the alarm matches. Compares bytes, as
 * the chip does, so one with a number that no clock shows never comes. Skips
 * hours and minutes that do not match, and of the seconds asks each once: not
 * 86,400 steps but 1,600 at most.
 */
static int64_t
next_alarm(const struct mc146818 *m, int64_t second)
{
	const uint8_t *ram = m->ram;
	int64_t t = second + 1, midnight = floor_div(t, DAY_S) * DAY_S;
	int s, misses = 0;

	while (t <= second + DAY_S && misses < 60) {
		if (t - midnight >= DAY_S)
			midnight += DAY_S;
		s = t - midnight;
		if (!matches(ram[HOURS_ALARM], encode_hour(m, s / 3600)))
			t += 3600 - s % 3600;
		else if (!matches(ram[MINUTES_ALARM], encode(m, s / 60 % 60)))
			t += 60 - s % 60;
		else if (matches(ram[SECONDS_ALARM], encode(m, s % 60)))
			return (t);
		else {
			misses++;
			t++;
		}
	}
	return (NEVER);
}

static void
update_line(struct mc146818 *m)
{
	uint8_t *c = &m->ram[REG_C];

	*c &= ~IRQF;
	if (*c & m->ram[REG_B] & (PF | AF | UF))
		*c |= IRQF;
	line_set(&m->irq, (*c & IRQF) != 0);
}

/* Raises the flags of what went by since the last time. */
/* book: mc146818-sync */
static void
sync(struct mc146818 *m)
{
	int64_t second, ns = divider(m, &second), tick = ticks(second, ns);
	int64_t p = period(m);
	uint8_t *c = &m->ram[REG_C];

	if (runs(m) && second > m->second) {
		*c |= UF;
		if (next_alarm(m, m->second + m->offset) <= second + m->offset)
			*c |= AF;
	}
	if (p != 0 && floor_div(tick, p) > floor_div(m->tick, p))
		*c |= PF;
	m->second = second;
	m->tick = tick;
	update_line(m);
}
/* book: end */

/* Arms the timer for the next flag that moves the line. */
static void
plan(struct mc146818 *m)
{
	int64_t second, ns = divider(m, &second), at = NEVER, alarm, tick;
	int64_t p = period(m), s_ns = SECOND_NS;
	uint8_t want = m->ram[REG_C] & IRQF ? 0 : m->ram[REG_B];

	if (p != 0 && want & PF) {	/* never later than the second */
		tick = ticks(second, ns);
		tick = (floor_div(tick, p) + 1) * p - second * CRYSTAL;
		at = (tick * s_ns + CRYSTAL - 1) / CRYSTAL;
	} else if (runs(m) && want & UF) {
		at = s_ns;
	} else if (runs(m) && want & AF) {
		alarm = next_alarm(m, second + m->offset);
		if (alarm != NEVER)
			at = (alarm - second - m->offset) * s_ns;
	}
	timer_arm(m->timers, &m->timer, at == NEVER ? TIME_NEVER :
	    timers_now(m->timers) + (uint64_t)(at - ns));
}

static void
fire(void *arg)
{
	sync(arg);
	plan(arg);
}

/* --- Registers --- */

static void
now_date(const struct mc146818 *m, uint8_t date[MC_DATE_REGS])
{
	if (runs(m))
		to_date(m, m->second + m->offset, date);
	else
		memcpy(date, m->date, sizeof(m->date));
}

/*
 * A and B say whether the date runs, and whether the divider does. What
 * stops keeps the date that it had, or gets another; a divider that comes out
 * of its reset has half a second to go to the first update.
 */
static void
write_control(struct mc146818 *m, int reg, uint8_t v)
{
	bool divided = divides(m), ran = runs(m);
	int64_t second, s_ns = SECOND_NS;
	uint32_t wall_ns;

	if (ran)
		now_date(m, m->date);
	m->ram[reg] = v;
	if (!divided && divides(m)) {
		m->wall(m->arg, &second, &wall_ns);
		m->phase = (s_ns * 3 / 2 - wall_ns) % s_ns;
		m->second = second + (wall_ns + m->phase) / s_ns;
		m->tick = ticks(m->second, s_ns / 2);
	}
	if (!ran && runs(m))
		m->offset = from_date(m, m->date) - m->second;
}

/* Which byte of the date a register is; -1: none. */
static int
date_index(uint8_t reg)
{
	int i;

	for (i = 0; i < MC_DATE_REGS; i++)
		if (date_reg[i] == reg)
			return (i);
	return (-1);
}

static void
reg_write(struct mc146818 *m, uint8_t reg, uint8_t v)
{
	uint8_t date[MC_DATE_REGS];
	int i = date_index(reg);

	if (i >= 0 && runs(m)) {
		now_date(m, date);
		date[i] = v;
		m->offset = from_date(m, date) - m->second;
	} else if (i >= 0) {
		m->date[i] = v;
	} else if (reg == REG_A) {
		write_control(m, REG_A, v & ~A_UIP);
	} else if (reg == REG_B) {
		/* SET clears UIE. */
		write_control(m, REG_B, v & B_SET ? v & ~UF : v);
	} else if (reg != REG_C && reg != REG_D) {
		m->ram[reg] = v;
	}
}

static uint8_t
reg_read(struct mc146818 *m, uint8_t reg)
{
	uint8_t date[MC_DATE_REGS], v = m->ram[reg];
	int64_t second;
	int i = date_index(reg);

	if (i >= 0) {
		now_date(m, date);
		return (date[i]);
	}
	if (reg == REG_A && runs(m) &&
	    divider(m, &second) >= (int64_t)SECOND_NS - UIP_NS)
		v |= A_UIP;
	if (reg == REG_C)
		m->ram[REG_C] = 0;
	return (v);
}

static void
mc146818_io(void *dev, struct io *io)
{
	struct mc146818 *m = dev;

	if (!(io->port & 1)) {
		if (io->in)
			io->data = 0xff;
		else			/* bit 7 masks NMIs: there are none */
			m->index = io->data & 0x7f;
		return;
	}
	sync(m);
	if (io->in)
		io->data = reg_read(m, m->index);
	else
		reg_write(m, m->index, io->data);
	update_line(m);
	plan(m);
}

/* A number in 16 bits, or the most that fits. */
static void
put_size(struct mc146818 *m, int reg, uint64_t v)
{
	if (v > 0xffff)
		v = 0xffff;
	m->ram[reg] = v;
	m->ram[reg + 1] = v >> 8;
}

/*
 * What a BIOS leaves there: KiB under 640 KiB, KiB from 1 MiB (twice), 64 KiB
 * from 16 MiB, 64 KiB from 4 GiB, and a sum over the bytes 0x10 to 0x2d.
 */
static void
put_sizes(struct mc146818 *m, uint64_t low, uint64_t high)
{
	uint64_t above = low > 1 << 20 ? (low >> 10) - 1024 : 0;
	unsigned int i, sum = 0;

	put_size(m, 0x15, low < 640 << 10 ? low >> 10 : 640);
	put_size(m, 0x17, above);
	put_size(m, 0x30, above);
	put_size(m, 0x34, low > 16 << 20 ? (low - (16 << 20)) >> 16 : 0);
	m->ram[0x5b] = high >> 16;
	m->ram[0x5c] = high >> 24;
	m->ram[0x5d] = high >> 32;
	for (i = 0x10; i <= 0x2d; i++)
		sum += m->ram[i];
	m->ram[0x2e] = sum >> 8;
	m->ram[0x2f] = sum;
}

/*
 * RESET and power-on leave the date and the memory as they are; then firmware
 * writes A, B and its sizes. SET ends while the date is still understood.
 */
void
mc146818_reset(struct mc146818 *m, struct bus *b, uint64_t low, uint64_t high)
{
	sync(m);
	write_control(m, REG_A, A_RUN | 6);	/* 1,024 Hz */
	write_control(m, REG_B, m->ram[REG_B] & (B_BINARY | B_24H));
	write_control(m, REG_B, B_24H);
	m->ram[REG_C] = 0;
	update_line(m);
	put_sizes(m, low, high);
	bus_add(b, 0x70, 2, true, mc146818_io, m);
}

void
mc146818_init(struct mc146818 *m, struct bus *b, struct timers *ts,
    struct line irq, wall_fn *wall, void *arg, uint64_t low, uint64_t high)
{
	memset(m, 0, sizeof(*m));
	m->wall = wall;
	m->arg = arg;
	m->timers = ts;
	m->irq = irq;
	timer_init(&m->timer, fire, m);
	m->ram[REG_A] = A_RUN;
	m->ram[REG_D] = D_VALID;
	mc146818_reset(m, b, low, high);
}
