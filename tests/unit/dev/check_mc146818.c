/* SPDX-License-Identifier: ISC */
/*
 * check_mc146818.c - the clock: dates, how they are set, its interrupts, and
 * the bytes on its battery.
 */
#include <stdio.h>
#include <time.h>

#include "dev_unit.h"
#include "mc146818.h"

#define IRQ	8
#define DATE_END 0x32

static struct bus bus;
static struct mc146818 rtc;
static int64_t wall_s;		/* the wall clock when the VM started */
static int64_t wall_ns;

static void
wall(void *arg, int64_t *s, uint32_t *ns)
{
	uint64_t all = wall_ns + unit_now;

	(void)arg;
	*s = wall_s + (int64_t)(all / SECOND_NS);
	*ns = all % SECOND_NS;
}

static void
out(uint8_t reg, uint8_t v)
{
	unit_out(&bus, 0x70, 1, reg);
	unit_out(&bus, 0x71, 1, v);
}

static uint8_t
in(uint8_t reg)
{
	unit_out(&bus, 0x70, 1, reg);
	return (unit_in(&bus, 0x71, 1));
}

/* Starts a clock at a moment of the wall's. */
static void
start(int64_t s, int64_t ns)
{
	wall_s = s;
	wall_ns = ns;
	bus.n = 0;
	mc146818_init(&rtc, &bus, &unit_timers, unit_line(IRQ), wall, NULL,
	    64 << 20, 0);
}

/* "CCYY-MM-DD hh:mm:ss w", of the bytes as they are, in hexadecimal. */
static const char *
date(void)
{
	static char s[64];

	snprintf(s, sizeof(s), "%02x%02x-%02x-%02x %02x:%02x:%02x %x",
	    in(0x32), in(9), in(8), in(7), in(4), in(2), in(0), in(6));
	return (s);
}

/* Sets it from the same text. */
static void
set_date(const char *s)
{
	unsigned int c, y, mo, d, h, mi, se, w;

	ck_assert_int_eq(sscanf(s, "%2x%2x-%x-%x %x:%x:%x %x", &c, &y, &mo, &d,
	    &h, &mi, &se, &w), 8);
	out(0x32, c);
	out(9, y);
	out(8, mo);
	out(7, d);
	out(4, h);
	out(2, mi);
	out(0, se);
	out(6, w);
}

/* --- Dates --- */

static const struct {
	int64_t		 s;
	const char	*date;
} dates[] = {
	{ 0, "1970-01-01 00:00:00 5" },
	{ -1, "1969-12-31 23:59:59 4" },
	{ 951782399, "2000-02-28 23:59:59 2" },
	{ 951782400, "2000-02-29 00:00:00 3" },
	{ 951868800, "2000-03-01 00:00:00 4" },
	{ 946684799, "1999-12-31 23:59:59 6" },
	{ 1709251199, "2024-02-29 23:59:59 5" },
	{ 2147483648, "2038-01-19 03:14:08 3" },
	{ 4107542399, "2100-02-28 23:59:59 1" },
	{ 4107542400, "2100-03-01 00:00:00 2" },
	{ 4294967296, "2106-02-07 06:28:16 1" },
	{ 13574563200, "2400-02-29 00:00:00 3" },
	{ 13601087999, "2400-12-31 23:59:59 1" },
	{ -2203891200, "1900-03-01 00:00:00 5" },
	{ -2203891201, "1900-02-28 23:59:59 4" },
	{ -11644473600, "1601-01-01 00:00:00 2" },
	{ 253402300799, "9999-12-31 23:59:59 6" },
};

START_TEST(dates_read)
{
	start(dates[_i].s, 0);
	ck_assert_str_eq(date(), dates[_i].date);
	unit_now = SECOND_NS - 1;
	ck_assert_str_eq(date(), dates[_i].date);
}
END_TEST

/* The same set by the guest, on a clock that shows something else. */
START_TEST(dates_set)
{
	start(1234567890, 400000000);
	out(0x0b, 0x82);
	set_date(dates[_i].date);
	ck_assert_str_eq(date(), dates[_i].date);
	unit_now = 5 * SECOND_NS;
	ck_assert_str_eq(date(), dates[_i].date);
	out(0x0b, 0x02);
	ck_assert_str_eq(date(), dates[_i].date);
	ck_assert_int_eq(rtc.second + rtc.offset, dates[_i].s);
}
END_TEST

/* Every day of 400 years follows the one before. */
START_TEST(days)
{
	static const int len[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30,
	    31 };
	int y = 1999, m = 12, d = 31, w = 6, leap, i;
	char want[32];

	start(946598400, 0);
	for (i = 0; i < 150000; i++) {
		snprintf(want, sizeof(want), "%d-%02d-%02d 00:00:00 %d", y, m,
		    d, w);
		if (strcmp(date(), want) != 0)
			ck_abort_msg("%s, not %s", date(), want);
		leap = m == 2 && (y % 4 == 0) - (y % 100 == 0) +
		    (y % 400 == 0);
		if (++d > len[m - 1] + leap) {
			d = 1;
			m++;
		}
		if (m > 12) {
			m = 1;
			y++;
		}
		w = w % 7 + 1;
		wall_s += 86400;
	}
}
END_TEST

/* Set, then a second later. */
static const struct {
	const char	*set, *next;
} rolls[] = {
	{ "2023-02-28 23:59:59 3", "2023-03-01 00:00:00 4" },
	{ "2024-02-28 23:59:59 4", "2024-02-29 00:00:00 5" },
	{ "1999-12-31 23:59:59 6", "2000-01-01 00:00:00 7" },
	{ "2099-12-31 23:59:59 5", "2100-01-01 00:00:00 6" },
	{ "2021-04-30 23:59:59 6", "2021-05-01 00:00:00 7" },
	/* Days of the week are the guest's affair. */
	{ "2021-04-30 23:59:59 7", "2021-05-01 00:00:00 1" },
	{ "9999-12-31 23:59:59 6", "0000-01-01 00:00:00 7" },
	/* What no calendar has is something, and goes on from there. */
	{ "2023-02-30 23:59:59 5", "2023-03-03 00:00:00 6" },
	{ "2023-13-01 00:00:00 2", "2024-01-01 00:00:01 2" },
	{ "2023-00-00 00:00:00 4", "2022-11-30 00:00:01 4" },
	{ "2023-01-01 99:99:99 1", "2023-01-05 04:40:40 1" },
};

START_TEST(rolls_over)
{
	start(1234567890, 0);
	out(0x0b, 0x82);
	set_date(rolls[_i].set);
	out(0x0b, 0x02);
	unit_now = SECOND_NS;
	ck_assert_str_eq(date(), rolls[_i].next);
}
END_TEST

/* Register B, the hour of the day, the byte. */
static const struct {
	uint8_t	b, hour, byte;
} hours[] = {
	{ 0x02, 0, 0x00 }, { 0x02, 9, 0x09 }, { 0x02, 10, 0x10 },
	{ 0x02, 12, 0x12 }, { 0x02, 23, 0x23 },
	{ 0x06, 0, 0 }, { 0x06, 10, 10 }, { 0x06, 23, 23 },
	{ 0x00, 0, 0x12 }, { 0x00, 1, 0x01 }, { 0x00, 11, 0x11 },
	{ 0x00, 12, 0x92 }, { 0x00, 13, 0x81 }, { 0x00, 23, 0x91 },
	{ 0x04, 0, 12 }, { 0x04, 1, 1 }, { 0x04, 11, 11 },
	{ 0x04, 12, 0x8c }, { 0x04, 13, 0x81 }, { 0x04, 23, 0x8b },
};

START_TEST(hours_all)
{
	start(hours[_i].hour * 3600 + 2096, 0);
	out(0x0b, hours[_i].b);
	ck_assert_uint_eq(in(4), hours[_i].byte);
	ck_assert_uint_eq(in(2), hours[_i].b & 4 ? 34 : 0x34);
	ck_assert_uint_eq(in(0), hours[_i].b & 4 ? 56 : 0x56);
	ck_assert_uint_eq(in(9), hours[_i].b & 4 ? 70 : 0x70);
	ck_assert_uint_eq(in(0x32), hours[_i].b & 4 ? 19 : 0x19);
	/* And set: */
	start(0, 0);
	out(0x0b, hours[_i].b);
	out(0x0b, hours[_i].b | 0x80);
	out(4, hours[_i].byte);
	out(0x0b, hours[_i].b);
	ck_assert_uint_eq(in(4), hours[_i].byte);
	ck_assert_int_eq(rtc.second + rtc.offset, hours[_i].hour * 3600);
}
END_TEST

/* --- Setting --- */

/* One register without SET: the others stay, and so does the second. */
START_TEST(set_one)
{
	start(1700000000, 300000000);	/* 2023-11-14 22:13:20, a Tuesday */
	ck_assert_str_eq(date(), "2023-11-14 22:13:20 3");
	out(2, 0x59);
	ck_assert_str_eq(date(), "2023-11-14 22:59:20 3");
	out(6, 1);
	ck_assert_str_eq(date(), "2023-11-14 22:59:20 1");
	out(9, 0x24);
	ck_assert_str_eq(date(), "2024-11-14 22:59:20 1");
	unit_now = 699999999;
	ck_assert_str_eq(date(), "2024-11-14 22:59:20 1");
	unit_now = 700000000;
	ck_assert_str_eq(date(), "2024-11-14 22:59:21 1");
}
END_TEST

/* SET stops the date, not the divider. */
START_TEST(set_stops)
{
	start(1700000000, 300000000);
	out(0x0b, 0x92);
	ck_assert_uint_eq(in(0x0b), 0x82);	/* UIE is gone */
	unit_run(10 * SECOND_NS);
	ck_assert_str_eq(date(), "2023-11-14 22:13:20 3");
	ck_assert_uint_eq(in(0x0c) & 0x30, 0);
	out(0x0b, 0x02);
	ck_assert_str_eq(date(), "2023-11-14 22:13:20 3");
	unit_run(10 * SECOND_NS + 699999999);
	ck_assert_str_eq(date(), "2023-11-14 22:13:20 3");
	unit_run(10 * SECOND_NS + 700000000);
	ck_assert_str_eq(date(), "2023-11-14 22:13:21 3");
}
END_TEST

/* As Linux sets it: the first update is half a second after the reset. */
START_TEST(set_linux)
{
	uint8_t a, b;

	start(1700000000, 300000000);
	b = in(0x0b);
	out(0x0b, b | 0x80);
	a = in(0x0a);
	out(0x0a, a | 0x70);
	unit_run(123456789);
	ck_assert_uint_eq(in(0x0a), 0x76);
	set_date("2030-06-15 12:00:00 7");
	out(0x0b, b);
	unit_run(2 * SECOND_NS);
	ck_assert_str_eq(date(), "2030-06-15 12:00:00 7");
	ck_assert_uint_eq(in(0x0c), 0);
	out(0x0a, a);
	unit_run(2 * SECOND_NS + 499999999);
	ck_assert_str_eq(date(), "2030-06-15 12:00:00 7");
	unit_run(2 * SECOND_NS + 500000000);
	ck_assert_str_eq(date(), "2030-06-15 12:00:01 7");
	unit_run(3 * SECOND_NS + 500000000);
	ck_assert_str_eq(date(), "2030-06-15 12:00:02 7");
}
END_TEST

/* UIP: for 244 us before each update, and at no other time. */
START_TEST(uip)
{
	static const struct {
		uint64_t	ns;
		uint8_t		uip;
	} t[] = {
		{ 0, 0 }, { 500000000, 0 }, { 999755999, 0 },
		{ 999756000, 0x80 }, { 999999999, 0x80 }, { 1000000000, 0 },
		{ 1999755999, 0 }, { 1999756000, 0x80 },
	};
	size_t i;

	start(1700000000, 0);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		unit_now = t[i].ns;
		ck_assert_uint_eq(in(0x0a), 0x26 | t[i].uip);
	}
	out(0x0a, 0xa6);		/* cannot be written */
	out(0x0b, 0x82);
	ck_assert_uint_eq(in(0x0a), 0x26);
	out(0x0b, 0x02);
	ck_assert_uint_eq(in(0x0a), 0xa6);
	out(0x0a, 0x66);
	ck_assert_uint_eq(in(0x0a), 0x66);
}
END_TEST

/* --- Interrupts --- */

START_TEST(update_ended)
{
	start(1700000000, 250000000);
	ck_assert_uint_eq(timers_next(&unit_timers), TIME_NEVER);
	unit_run(749999999);
	ck_assert_uint_eq(in(0x0c) & 0x10, 0);
	unit_run(750000000);
	ck_assert_uint_eq(in(0x0c) & 0xf0, 0x50);	/* enabled or not */
	ck_assert_uint_eq(in(0x0c), 0);
	ck_assert_uint_eq(unit_edges[IRQ], 0);
	out(0x0b, 0x12);
	unit_run(1749999999);
	ck_assert_int_eq(unit_level[IRQ], 0);
	unit_run(1750000000);
	ck_assert_int_eq(unit_level[IRQ], 1);
	/* It stays until C is read, and costs no timer meanwhile. */
	ck_assert_uint_eq(timers_next(&unit_timers), TIME_NEVER);
	unit_run(60 * SECOND_NS);
	ck_assert_uint_eq(unit_edges[IRQ], 1);
	ck_assert_uint_eq(in(0x0c) & 0xb0, 0x90);
	ck_assert_int_eq(unit_level[IRQ], 0);
	unit_run(60 * SECOND_NS + 750000000);
	ck_assert_int_eq(unit_level[IRQ], 1);
	/* Disabled: the line falls, the flag stays. */
	out(0x0b, 0x02);
	ck_assert_int_eq(unit_level[IRQ], 0);
	out(0x0b, 0x12);
	ck_assert_int_eq(unit_level[IRQ], 1);
	out(0x0c, 0);
	ck_assert_uint_eq(in(0x0c) & 0xb0, 0x90);
}
END_TEST

/* Rates of the data sheet for 32,768 Hz, in interrupts of eight seconds. */
static const int rates[] = {
	0, 2048, 1024, 65536, 32768, 16384, 8192, 4096, 2048, 1024, 512, 256,
	128, 64, 32, 16,
};

START_TEST(periodic)
{
	int n = 0;
	uint64_t next;

	start(1700000000, 0);
	out(0x0a, 0x20 | _i);
	out(0x0b, 0x42);
	in(0x0c);
	while ((next = timers_next(&unit_timers)) <= 8 * SECOND_NS) {
		n++;
		ck_assert_uint_eq(next, (8 * SECOND_NS * n + rates[_i] - 1) /
		    rates[_i]);
		unit_run(next - 1);
		ck_assert_int_eq(unit_level[IRQ], 0);
		unit_run(next);
		ck_assert_int_eq(unit_level[IRQ], 1);
		ck_assert_uint_eq(in(0x0c) & 0xc0, 0xc0);
	}
	ck_assert_int_eq(n, rates[_i]);
}
END_TEST

/* SET leaves it alone; a reset of the divider stops it. */
START_TEST(periodic_set)
{
	start(1700000000, 0);
	out(0x0b, 0xc2);
	unit_run(1000000);
	ck_assert_uint_eq(in(0x0c), 0xc0);
	unit_run(SECOND_NS);
	ck_assert_uint_eq(in(0x0c), 0xc0);
	out(0x0a, 0x76);
	unit_run(2 * SECOND_NS);
	ck_assert_uint_eq(in(0x0c), 0);
	ck_assert_uint_eq(timers_next(&unit_timers), TIME_NEVER);
	unit_run(2 * SECOND_NS + 1234);
	out(0x0a, 0x2d);
	ck_assert_uint_eq(timers_next(&unit_timers),
	    2 * SECOND_NS + 1234 + 125000000);
	ck_assert_uint_eq(in(0x0c), 0);
}
END_TEST

/*
 * The clock starts at 22:13:20; the alarm's bytes; seconds until it comes,
 * -1: never.
 */
static const struct {
	uint8_t	b, hour, minute, second;
	int	after;
} alarms[] = {
	{ 0x22, 0x22, 0x13, 0x21, 1 }, { 0x22, 0x22, 0x13, 0x20, 86400 },
	{ 0x22, 0x22, 0x13, 0x19, 86399 }, { 0x22, 0x23, 0x00, 0x00, 2800 },
	{ 0x22, 0x00, 0x00, 0x00, 6400 },
	/* Any of it. */
	{ 0x22, 0xff, 0xff, 0xff, 1 }, { 0x22, 0xc0, 0xc0, 0xc0, 1 },
	{ 0x22, 0xff, 0xff, 0x20, 60 }, { 0x22, 0xff, 0xff, 0x19, 59 },
	{ 0x22, 0xff, 0x13, 0x20, 3600 }, { 0x22, 0xff, 0x00, 0xff, 2800 },
	{ 0x22, 0x23, 0xff, 0xff, 2800 }, { 0x22, 0x22, 0xff, 0x00, 40 },
	{ 0x22, 0x21, 0xff, 0xff, 82000 },
	/* In 12 hours, and binary. */
	{ 0x20, 0x90, 0x13, 0x21, 1 }, { 0x20, 0x10, 0x13, 0x20, 43200 },
	{ 0x20, 0x12, 0x00, 0x00, 6400 }, { 0x26, 22, 13, 30, 10 },
	{ 0x24, 0x8a, 14, 0, 40 }, { 0x24, 0xc1, 14, 0, 40 },
	/* What the clock never shows. */
	{ 0x22, 0x22, 0x13, 0x60, -1 }, { 0x22, 0x24, 0xff, 0xff, -1 },
	{ 0x22, 0xff, 0x5a, 0xff, -1 }, { 0x22, 0x90, 0x13, 0x21, -1 },
	{ 0x26, 22, 13, 0x7f, -1 }, { 0x22, 0xbf, 0x13, 0x21, -1 },
};

START_TEST(alarm_comes)
{
	uint64_t at = alarms[_i].after * SECOND_NS - 500000000;

	start(1700000000, 500000000);
	out(5, alarms[_i].hour);
	out(3, alarms[_i].minute);
	out(1, alarms[_i].second);
	ck_assert_uint_eq(in(5), alarms[_i].hour);
	out(0x0b, alarms[_i].b);
	if (alarms[_i].after == -1) {
		ck_assert_uint_eq(timers_next(&unit_timers), TIME_NEVER);
		unit_run(3 * 86400 * SECOND_NS);
		ck_assert_uint_eq(in(0x0c) & 0xa0, 0);
		return;
	}
	ck_assert_uint_eq(timers_next(&unit_timers), at);
	unit_run(at - 1);
	ck_assert_uint_eq(in(0x0c) & 0xa0, 0);
	unit_run(at);
	ck_assert_int_eq(unit_level[IRQ], 1);
	ck_assert_uint_eq(in(0x0c) & 0xb0, 0xb0);
}
END_TEST

/* One that never comes is asked for with each access: that costs little. */
START_TEST(alarm_never)
{
	clock_t begin = clock();
	int i;

	start(1700000000, 0);
	out(5, 0xff);
	out(3, 0xff);
	out(1, 0x60);
	out(0x0b, 0x22);
	for (i = 0; i < 2000; i++)
		in(0x0c);
	ck_assert_uint_eq(timers_next(&unit_timers), TIME_NEVER);
	ck_assert_int_lt(clock() - begin, CLOCKS_PER_SEC / 2);
}
END_TEST

/* Nobody looked for days: an alarm in between is one flag, one interrupt. */
START_TEST(alarm_missed)
{
	start(1700000000, 0);
	out(5, 0x03);
	out(3, 0x00);
	out(1, 0x00);
	in(0x0c);
	unit_now = 3600 * SECOND_NS;
	ck_assert_uint_eq(in(0x0c) & 0x20, 0);
	unit_now = 10 * 3600 * SECOND_NS;
	ck_assert_uint_eq(in(0x0c) & 0xa0, 0x20);
	out(0x0b, 0x72);
	unit_now = 1000 * 86400 * SECOND_NS;
	timers_run(&unit_timers);
	ck_assert_uint_eq(unit_edges[IRQ], 1);
	ck_assert_uint_eq(in(0x0c), 0xf0);
	ck_assert_uint_eq(unit_edges[IRQ], 2);
}
END_TEST

/* Somebody sets the wall clock: the date follows, interrupts go on. */
START_TEST(wall_moves)
{
	start(1700000000, 0);
	out(0x0b, 0x12);
	wall_s -= 1000;
	unit_run(SECOND_NS);
	ck_assert_str_eq(date(), "2023-11-14 21:56:41 3");
	unit_run(3 * SECOND_NS);
	ck_assert_int_eq(unit_level[IRQ], 1);
	in(0x0c);
	wall_s += 5000000;
	unit_run(4 * SECOND_NS);
	ck_assert_uint_eq(in(0x0c) & 0x90, 0x90);
	/* It is late against the timers: fires once more for the rest. */
	unit_run(4 * SECOND_NS + 500000000);
	wall_ns -= 200000000;
	unit_run(5 * SECOND_NS);
	ck_assert_int_eq(unit_level[IRQ], 0);
	ck_assert_uint_eq(timers_next(&unit_timers),
	    5 * SECOND_NS + 200000000);
	unit_run(5 * SECOND_NS + 200000000);
	ck_assert_int_eq(unit_level[IRQ], 1);
}
END_TEST

/* --- Memory --- */

START_TEST(nvram)
{
	int reg;

	start(1700000000, 0);
	ck_assert_uint_eq(in(0x0d), 0x80);
	out(0x0d, 0);
	ck_assert_uint_eq(in(0x0d), 0x80);
	ck_assert_uint_eq(in(0x0b), 0x02);
	for (reg = 0x0e; reg < 0x80; reg++)
		if (reg != DATE_END)
			out(reg, reg ^ 0xa5);
	for (reg = 0x0e; reg < 0x80; reg++)
		if (reg != DATE_END)
			ck_assert_uint_eq(in(reg), reg ^ 0xa5);
	/* Bit 7 is no part of the index; port 0x70 cannot be read. */
	ck_assert_uint_eq(in(0x80 | 0x40), 0x40 ^ 0xa5);
	ck_assert_uint_eq(unit_in(&bus, 0x70, 1), 0xff);
	unit_out(&bus, 0x70, 2, 0x5a41);
	ck_assert_uint_eq(in(0x41), 0x5a);
	ck_assert_str_eq(date(), "2023-11-14 22:13:20 3");
}
END_TEST

/* As the machine does: buses and timers begin anew, the clock does not. */
static void
reset(void)
{
	bus.n = 0;
	unit_timers.first = NULL;
	mc146818_reset(&rtc, &bus, 64 << 20, 0);
}

/* A battery has the date and the memory; firmware sets A and B. */
START_TEST(reset_keeps)
{
	start(1700000000, 250000000);
	out(0x0b, 0x82);
	set_date("2031-12-31 23:59:40 3");
	out(0x0b, 0x72);		/* all interrupts */
	out(0x0e, 0x5a);
	out(0x15, 0);			/* firmware knows better */
	out(0x05, 0xc0);
	out(0x03, 0xc0);
	out(0x01, 0x50);
	unit_run(10 * SECOND_NS);
	ck_assert(unit_level[IRQ]);
	reset();
	ck_assert(!unit_level[IRQ]);
	ck_assert_uint_eq(timers_next(&unit_timers), TIME_NEVER);
	ck_assert_uint_eq(in(0x0a), 0x26);
	ck_assert_uint_eq(in(0x0b), 0x02);
	ck_assert_uint_eq(in(0x0c), 0);
	ck_assert_uint_eq(in(0x0d), 0x80);
	ck_assert_uint_eq(in(0x0e), 0x5a);
	ck_assert_uint_eq(in(0x15) | in(0x16) << 8, 640);
	ck_assert_uint_eq(in(0x01), 0x50);
	ck_assert_str_eq(date(), "2031-12-31 23:59:50 3");
	unit_run(20 * SECOND_NS);
	ck_assert_str_eq(date(), "2032-01-01 00:00:00 4");
	ck_assert(!unit_level[IRQ]);
	out(0x0b, 0x12);
	unit_run(21 * SECOND_NS);
	ck_assert(unit_level[IRQ]);
}
END_TEST

/* It stood still, in another format: it goes on from there. */
START_TEST(reset_starts)
{
	start(1700000000, 250000000);
	out(0x0b, 0x84);		/* 12 hours, binary */
	out(0x0a, 0x70);
	set_date("141f-0c-1f 8b:3b:3a 4");
	ck_assert_str_eq(date(), "141f-0c-1f 8b:3b:3a 4");
	unit_run(10 * SECOND_NS);
	reset();
	ck_assert_uint_eq(in(0x0a), 0x26);
	ck_assert_uint_eq(in(0x0b), 0x02);
	ck_assert_str_eq(date(), "2031-12-31 23:59:58 4");
	unit_run(11 * SECOND_NS + SECOND_NS / 2 - 1);
	ck_assert_str_eq(date(), "2031-12-31 23:59:59 4");
	unit_run(11 * SECOND_NS + SECOND_NS / 2);
	ck_assert_str_eq(date(), "2032-01-01 00:00:00 5");
}
END_TEST

static const struct {
	uint64_t	low, high;
	uint16_t	base, kib, k64;
	uint32_t	above;
} sizes[] = {
	{ 512 << 10, 0, 512, 0, 0, 0 },
	{ 1 << 20, 0, 640, 0, 0, 0 },
	{ 2 << 20, 0, 640, 1024, 0, 0 },
	{ 16 << 20, 0, 640, 15360, 0, 0 },
	{ 64 << 20, 0, 640, 64512, 768, 0 },
	{ 128 << 20, 0, 640, 0xffff, 1792, 0 },
	{ 3ULL << 30, 0, 640, 0xffff, 48896, 0 },
	{ 3ULL << 30, 5ULL << 30, 640, 0xffff, 48896, 0x14000 },
	{ 4ULL << 30, 1ULL << 38, 640, 0xffff, 65280, 0x400000 },
};

static unsigned int
in16(uint8_t reg)
{
	unsigned int v = in(reg);

	return (v | in(reg + 1) << 8);
}

START_TEST(memory_sizes)
{
	unsigned int sum = 0, reg;

	start(0, 0);
	bus.n = 0;
	mc146818_init(&rtc, &bus, &unit_timers, unit_line(IRQ), wall, NULL,
	    sizes[_i].low, sizes[_i].high);
	ck_assert_uint_eq(in16(0x15), sizes[_i].base);
	ck_assert_uint_eq(in16(0x17), sizes[_i].kib);
	ck_assert_uint_eq(in16(0x30), sizes[_i].kib);
	ck_assert_uint_eq(in16(0x34), sizes[_i].k64);
	ck_assert_uint_eq(in16(0x5b) + (in(0x5d) << 16), sizes[_i].above);
	for (reg = 0x10; reg <= 0x2d; reg++)
		sum += in(reg);
	ck_assert_uint_eq(in(0x2e), sum >> 8);
	ck_assert_uint_eq(in(0x2f), sum & 0xff);
}
END_TEST

/* Any bytes in any order: defined, and soon over. */
START_TEST(hostile)
{
	uint64_t x = 88172645463325252ULL;
	unsigned int i;

	start(1700000000, 0);
	for (i = 0; i < 100000; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		if (x & 0x100)
			in(x >> 9 & (x & 0x200000 ? 0x0f : 0xff));
		else
			out(x >> 9 & (x & 0x200000 ? 0x0f : 0xff), x);
		unit_now += x >> 22 & 0x3fffff;
		if (x >> 50 & 1)
			timers_run(&unit_timers);
		if (i % 5000 == 0)
			unit_now += 1ULL << 57;
		if (i % 7000 == 0)
			wall_s = x >> 20;
	}
}
END_TEST

#define N(t)	(int)(sizeof(t) / sizeof((t)[0]))

int
main(void)
{
	TCase *tc = unit_case("mc146818", unit_start);

	tcase_add_loop_test(tc, dates_read, 0, N(dates));
	tcase_add_loop_test(tc, dates_set, 0, N(dates));
	tcase_add_test(tc, days);
	tcase_add_loop_test(tc, rolls_over, 0, N(rolls));
	tcase_add_loop_test(tc, hours_all, 0, N(hours));
	tcase_add_test(tc, set_one);
	tcase_add_test(tc, set_stops);
	tcase_add_test(tc, set_linux);
	tcase_add_test(tc, uip);
	tcase_add_test(tc, update_ended);
	tcase_add_loop_test(tc, periodic, 0, N(rates));
	tcase_add_test(tc, periodic_set);
	tcase_add_loop_test(tc, alarm_comes, 0, N(alarms));
	tcase_add_test(tc, alarm_never);
	tcase_add_test(tc, alarm_missed);
	tcase_add_test(tc, wall_moves);
	tcase_add_test(tc, nvram);
	tcase_add_test(tc, reset_keeps);
	tcase_add_test(tc, reset_starts);
	tcase_add_loop_test(tc, memory_sizes, 0, N(sizes));
	tcase_add_test(tc, hostile);
	return (unit_end());
}
