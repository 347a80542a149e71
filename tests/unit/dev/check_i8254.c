/* SPDX-License-Identifier: ISC */
/*
 * check_i8254.c - the interval timer: modes, latches, the line's edges at
 * their ns, and what an operating system does with it.
 */
#include <stdlib.h>

#include "dev_unit.h"
#include "i8254.h"

#define IRQ	0

static struct bus bus;
static struct i8254 pit;

/* The first ns of a tick of 1,193,182 Hz, the long way. */
static uint64_t
at(uint64_t tick)
{
	return ((tick * (unsigned __int128)1000000000 + 1193181) / 1193182);
}

static void
to(uint64_t tick)
{
	unit_run(at(tick));
}

static void
out(uint16_t port, uint8_t v)
{
	unit_out(&bus, port, 1, v);
}

static uint8_t
in(uint16_t port)
{
	return (unit_in(&bus, port, 1));
}

/* Counter nr: control bits 5-0, and a count in two bytes. */
static void
start(int nr, int control, uint16_t count)
{
	out(0x43, nr << 6 | control);
	out(0x40 + nr, count & 0xff);
	out(0x40 + nr, count >> 8);
}

static uint16_t
in_both(uint16_t port)
{
	uint16_t v = in(port);

	return (v | in(port) << 8);
}

static uint16_t
latched(int nr)
{
	out(0x43, nr << 6);
	return (in_both(0x40 + nr));
}

/* Bit 7 OUT, bit 6 null count, bits 5-0 as programmed. */
static uint8_t
status(int nr)
{
	out(0x43, 0xe0 | 2 << nr);
	return (in(0x40 + nr));
}

static void
gate(bool on)
{
	out(0x61, on);
}

static bool
out2(void)
{
	return (in(0x61) & 0x20);
}

/*
 * What the data sheet draws: OUT and the count in ticks 0, 1, 2 ... after the
 * count was written. On counter 2 with its gate high; in modes 1 and 5 the
 * gate rises right after the write. A count of -1 is not drawn.
 */
static const struct {
	int		mode;
	uint16_t	n;
	const char	*out;
	int		count[12];
} waves[] = {
	{ 0, 4, "000001111111",
	    { -1, 4, 3, 2, 1, 0, 0xffff, 0xfffe, 0xfffd, -1, -1, -1 } },
	{ 0, 1, "001111111111",
	    { -1, 1, 0, 0xffff, -1, -1, -1, -1, -1, -1, -1, -1 } },
	{ 1, 3, "100011111111",
	    { -1, 3, 2, 1, 0, 0xffff, 0xfffe, -1, -1, -1, -1, -1 } },
	{ 2, 4, "111101110111", { -1, 4, 3, 2, 1, 4, 3, 2, 1, 4, 3, 2 } },
	{ 2, 2, "110101010101", { -1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2 } },
	{ 3, 4, "111001100110", { -1, 4, 2, 4, 2, 4, 2, 4, 2, 4, 2, 4 } },
	{ 3, 5, "111100111001", { -1, 4, 2, 0, 4, 2, 4, 2, 0, 4, 2, 4 } },
	{ 3, 2, "110101010101", { -1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2 } },
	{ 4, 3, "111101111111",
	    { -1, 3, 2, 1, 0, 0xffff, 0xfffe, 0xfffd, -1, -1, -1, -1 } },
	{ 5, 3, "111101111111",
	    { -1, 3, 2, 1, 0, 0xffff, 0xfffe, 0xfffd, -1, -1, -1, -1 } },
	/* Modes 6 and 7 are 2 and 3. */
	{ 6, 3, "111011011011", { -1, 3, 2, 1, 3, 2, 1, 3, 2, 1, 3, 2 } },
	{ 7, 4, "111001100110", { -1, 4, 2, 4, 2, 4, 2, 4, 2, 4, 2, 4 } },
};

START_TEST(modes)
{
	int i, mode = waves[_i].mode;

	to(1000);
	gate(mode != 1 && mode != 5);
	start(2, 0x30 | mode << 1, waves[_i].n);
	gate(true);
	for (i = 0; i < 12; i++) {
		to(1000 + i);
		ck_assert_msg(out2() == (waves[_i].out[i] == '1'),
		    "mode %d, count %d: OUT after %d", mode, waves[_i].n, i);
		if (waves[_i].count[i] >= 0)
			ck_assert_int_eq(latched(2), waves[_i].count[i]);
		ck_assert_uint_eq(status(2) & 0x3f, 0x30 | mode << 1);
	}
}
END_TEST

/* Before a count is written. */
START_TEST(initial_out)
{
	int mode;

	gate(true);
	for (mode = 0; mode < 6; mode++) {
		out(0x43, 0xb0 | mode << 1);
		ck_assert_uint_eq(status(2),
		    (mode == 0 ? 0x40 : 0xc0) | 0x30 | mode << 1);
		unit_run(unit_now + 1000000);
		ck_assert_int_eq(out2(), mode != 0);
	}
}
END_TEST

/* A count of 0 is 65,536, or 10,000 in BCD. */
START_TEST(zero_is_most)
{
	gate(true);
	start(2, 0x30, 0);
	to(65536);
	ck_assert_int_eq(out2(), 0);
	to(65537);
	ck_assert_int_eq(out2(), 1);
	start(2, 0x31, 0);
	to(65537 + 10000);
	ck_assert_int_eq(out2(), 0);
	ck_assert_uint_eq(latched(2), 1);
	to(65537 + 10001);
	ck_assert_int_eq(out2(), 1);
	ck_assert_uint_eq(latched(2), 0);
	to(65537 + 10002);
	ck_assert_uint_eq(latched(2), 0x9999);
}
END_TEST

START_TEST(bcd)
{
	gate(true);
	start(2, 0x35, 0x1234);
	to(1);
	ck_assert_uint_eq(latched(2), 0x1234);
	to(1 + 234);
	ck_assert_uint_eq(latched(2), 0x1000);
	to(1 + 235);
	ck_assert_uint_eq(latched(2), 0x0999);
	to(1 + 1233);
	ck_assert_uint_eq(latched(2), 0x0001);
	ck_assert_int_eq(out2(), 0);
	to(1 + 1234);
	ck_assert_uint_eq(latched(2), 0x1234);
	ck_assert_uint_eq(status(2), 0xb5);
	/* Digits that are none: whatever it is, it is defined. */
	start(2, 0x35, 0xffff);
	to(100000);
	latched(2);
}
END_TEST

/* One byte alone sets or shows that half, the other is 0. */
START_TEST(access_one)
{
	out(0x43, 0x14);		/* counter 0, low byte, mode 2 */
	out(0x40, 100);
	to(1 + 3);
	ck_assert_uint_eq(in(0x40), 97);
	ck_assert_uint_eq(in(0x40), 97);
	out(0x43, 0x64);		/* counter 1, high byte, mode 2 */
	out(0x41, 0x20);
	to(4 + 1 + 0x101);
	ck_assert_uint_eq(in(0x41), 0x1e);
	out(0x43, 0x40);
	to(4 + 1 + 0x1201);
	ck_assert_uint_eq(in(0x41), 0x1e);
	ck_assert_uint_eq(in(0x41), 0x0d);
}
END_TEST

/* The two flip-flops know nothing of each other; a control word ends both. */
START_TEST(access_both)
{
	start(0, 0x34, 0x1234);
	to(1);
	ck_assert_uint_eq(in(0x40), 0x34);
	out(0x40, 0x78);
	ck_assert_uint_eq(in(0x40), 0x12);
	out(0x40, 0x56);
	to(1 + 0x1234);
	ck_assert_uint_eq(latched(0), 0x5678);
	in(0x40);
	out(0x40, 1);
	start(0, 0x34, 0x4321);
	to(2 + 0x1234);
	ck_assert_uint_eq(in(0x40), 0x21);
	ck_assert_uint_eq(in(0x40), 0x43);
}
END_TEST

START_TEST(latches)
{
	start(0, 0x34, 1000);
	to(101);
	out(0x43, 0x00);
	to(201);
	out(0x43, 0x00);			/* lost */
	ck_assert_uint_eq(in(0x40), 900 & 0xff);
	to(301);
	ck_assert_uint_eq(in(0x40), 900 >> 8);
	ck_assert_uint_eq(in(0x40), 700 & 0xff);
	ck_assert_uint_eq(in(0x40), 700 >> 8);
	/* The status comes first, then the count. */
	out(0x43, 0xc2);
	to(401);
	out(0x43, 0xc2);
	ck_assert_uint_eq(in(0x40), 0xb4);
	ck_assert_uint_eq(in(0x40), 700 & 0xff);
	ck_assert_uint_eq(in(0x40), 700 >> 8);
	ck_assert_uint_eq(in(0x40), 600 & 0xff);
	/* All three at once. */
	start(0, 0x34, 1000);
	start(1, 0x36, 2000);
	start(2, 0x34, 3000);
	gate(true);
	to(402);
	out(0x43, 0xde);
	to(500);
	ck_assert_uint_eq(in_both(0x40), 1000);
	ck_assert_uint_eq(in_both(0x41), 2000);
	ck_assert_uint_eq(in_both(0x42), 3000);
	/* One alone. */
	out(0x43, 0xc8);
	ck_assert_uint_eq(in_both(0x40), 902);
	ck_assert_uint_eq(in_both(0x41), 1804);
	ck_assert_uint_eq(in(0x42), 0xb4);
	ck_assert_uint_eq(in_both(0x42), 2902);
	/* A status stays, too, until it is read. */
	start(0, 0x30, 5);
	out(0x43, 0xe2);
	to(600);
	out(0x43, 0xe2);
	ck_assert_uint_eq(in(0x40), 0x70);
	ck_assert_uint_eq(status(0), 0xb0);
	/* A control word forgets what is latched. */
	out(0x43, 0xc2);
	out(0x43, 0x30);
	ck_assert_uint_eq(in(0x40), 0);
	ck_assert_uint_eq(in(0x43), 0xff);
}
END_TEST

START_TEST(null_count)
{
	start(0, 0x34, 100);
	ck_assert_uint_eq(status(0), 0xf4);
	to(1);
	ck_assert_uint_eq(status(0), 0xb4);
	/* A new count waits for the end of the cycle. */
	to(51);
	out(0x40, 200);
	ck_assert_uint_eq(status(0), 0xb4);
	out(0x40, 0);
	ck_assert_uint_eq(status(0), 0xf4);
	ck_assert_uint_eq(latched(0), 50);
	to(100);
	ck_assert_uint_eq(status(0), 0x74);
	ck_assert_uint_eq(latched(0), 1);
	to(101);
	ck_assert_uint_eq(status(0), 0xb4);
	ck_assert_uint_eq(latched(0), 200);
	/* In modes 1 and 5 it waits for the trigger. */
	start(2, 0x32, 100);
	to(200);
	ck_assert_uint_eq(status(2), 0xf2);
	gate(true);
	to(201);
	ck_assert_uint_eq(status(2), 0x32);
}
END_TEST

/* In mode 3 a new count waits for half a cycle. */
START_TEST(square_change)
{
	gate(true);
	start(2, 0x36, 10);
	to(1 + 12);			/* high, 5 + 5 + 2 */
	out(0x42, 20);
	out(0x42, 0);
	to(1 + 14);
	ck_assert_int_eq(out2(), 1);
	to(1 + 15);
	ck_assert_int_eq(out2(), 0);
	ck_assert_uint_eq(latched(2), 20);
	to(1 + 24);
	ck_assert_int_eq(out2(), 0);
	to(1 + 25);
	ck_assert_int_eq(out2(), 1);
	to(1 + 36);			/* low since 35 */
	out(0x42, 6);
	out(0x42, 0);
	to(1 + 44);
	ck_assert_int_eq(out2(), 0);
	to(1 + 45);
	ck_assert_int_eq(out2(), 1);
	ck_assert_uint_eq(latched(2), 6);
	to(1 + 48);
	ck_assert_int_eq(out2(), 0);
	to(1 + 51);
	ck_assert_int_eq(out2(), 1);
}
END_TEST

/* Modes 0 and 4 take a new count with the next tick. */
START_TEST(new_count)
{
	gate(true);
	start(2, 0x30, 100);
	to(200);
	ck_assert_int_eq(out2(), 1);
	out(0x42, 50);			/* the first byte: OUT falls */
	ck_assert_int_eq(out2(), 0);
	to(1000);
	ck_assert_int_eq(out2(), 0);	/* and nothing counts */
	out(0x42, 0);
	to(1050);
	ck_assert_int_eq(out2(), 0);
	to(1051);
	ck_assert_int_eq(out2(), 1);
	start(2, 0x38, 100);
	to(1101);
	out(0x42, 20);			/* the first byte: it counts on */
	ck_assert_uint_eq(latched(2), 51);
	out(0x42, 0);
	to(1102);
	ck_assert_uint_eq(latched(2), 20);
	to(1122);
	ck_assert_int_eq(out2(), 0);
	to(1123);
	ck_assert_int_eq(out2(), 1);
}
END_TEST

/* Modes 0 and 4: the gate's level stops the count. */
START_TEST(gate_level)
{
	static const struct {
		int	mode;
		bool	before, after;
	} t[] = { { 0, false, true }, { 4, true, false } };

	gate(true);
	start(2, 0x30 | t[_i].mode << 1, 100);
	to(1 + 40);
	gate(false);
	to(5000);
	ck_assert_uint_eq(latched(2), 60);
	gate(true);
	to(5059);
	ck_assert_uint_eq(latched(2), 1);
	ck_assert_int_eq(out2(), t[_i].before);
	to(5060);
	ck_assert_int_eq(out2(), t[_i].after);
	to(5061);
	ck_assert_int_eq(out2(), true);
	/* A count that comes while the gate is low is taken, and stands. */
	gate(false);
	start(2, 0x30 | t[_i].mode << 1, 7);
	to(6000);
	ck_assert_uint_eq(latched(2), 7);
	ck_assert_uint_eq(status(2) & 0x40, 0);
	gate(true);
	to(6007);
	ck_assert_int_eq(out2(), t[_i].after);
}
END_TEST

/* A strobe that the gate meets is over. */
START_TEST(gate_strobe)
{
	gate(true);
	start(2, 0x38, 10);
	to(11);
	ck_assert_int_eq(out2(), 0);
	gate(false);
	ck_assert_int_eq(out2(), 1);
	to(100);
	ck_assert_int_eq(out2(), 1);
}
END_TEST

/* Modes 2 and 3: low stops with OUT high, the rise begins a cycle anew. */
START_TEST(gate_both)
{
	int mode = 2 + _i;

	gate(true);
	start(2, 0x30 | mode << 1, 10);
	to(1 + 9);			/* OUT is low in both modes */
	ck_assert_int_eq(out2(), 0);
	gate(false);
	ck_assert_int_eq(out2(), 1);
	out(0x42, 20);			/* waits for the gate */
	out(0x42, 0);
	to(500);
	ck_assert_int_eq(out2(), 1);
	ck_assert_uint_eq(status(2) & 0x40, 0x40);
	gate(true);
	to(501);
	ck_assert_uint_eq(latched(2), 20);
	to(501 + (mode == 2 ? 18 : 9));
	ck_assert_int_eq(out2(), 1);
	to(501 + (mode == 2 ? 19 : 10));
	ck_assert_int_eq(out2(), 0);
	to(501 + 20);
	ck_assert_int_eq(out2(), 1);
	/* A write for the end of a cycle that never comes. */
	out(0x42, 40);
	out(0x42, 0);
	gate(false);
	to(1000);
	ck_assert_uint_eq(status(2) & 0x40, 0x40);
}
END_TEST

/* Modes 1 and 5: the rise is all. Again in the middle: from the start. */
START_TEST(gate_trigger)
{
	start(2, 0x32, 10);
	to(100);
	gate(true);
	gate(false);
	to(108);
	ck_assert_int_eq(out2(), 0);
	gate(true);
	to(118);
	ck_assert_int_eq(out2(), 0);
	to(119);
	ck_assert_int_eq(out2(), 1);
	/* No count, no shot. */
	out(0x43, 0xb2);
	gate(false);
	gate(true);
	to(200);
	ck_assert_int_eq(out2(), 1);
	start(2, 0x3a, 10);
	gate(false);
	gate(true);
	out(0x42, 90);			/* for the next trigger only ... */
	out(0x42, 0);
	to(201);
	ck_assert_uint_eq(latched(2), 90); /* ... which this one still was */
	to(205);
	gate(false);
	gate(true);
	out(0x43, 0xe8);
	to(205 + 90);
	ck_assert_int_eq(out2(), 1);
	to(205 + 91);
	ck_assert_int_eq(out2(), 0);
	to(205 + 92);
	ck_assert_int_eq(out2(), 1);
}
END_TEST

/* --- The line --- */

/* Edges are at the first ns of their ticks, also after years. */
START_TEST(line_no_drift)
{
	uint64_t k;

	start(0, 0x34, 11932);
	ck_assert_int_eq(unit_level[IRQ], 1);
	for (k = 1; k < 2000; k++) {
		unsigned int edges = unit_edges[IRQ];

		unit_run(at(1 + k * 11932) - 1);
		ck_assert_uint_eq(unit_edges[IRQ], edges);
		unit_run(at(1 + k * 11932));
		ck_assert_uint_eq(unit_edges[IRQ], edges + 2);
		ck_assert_int_eq(unit_level[IRQ], 1);
	}
	/* Ten years later. */
	unit_now = 315360000ULL * SECOND_NS;
	timers_run(&unit_timers);
	k = (315360000ULL * 1193182 - 1) / 11932 + 1;
	ck_assert_uint_eq(timers_next(&unit_timers), at(1 + k * 11932));
}
END_TEST

START_TEST(line_square)
{
	unsigned int k;

	start(0, 0x36, 101);
	for (k = 0; k < 500; k++) {
		to(1 + k * 101 + 50);
		ck_assert_int_eq(unit_level[IRQ], 1);
		to(1 + k * 101 + 51);
		ck_assert_int_eq(unit_level[IRQ], 0);
		to(1 + k * 101 + 100);
		ck_assert_int_eq(unit_level[IRQ], 0);
	}
	ck_assert_uint_eq(unit_edges[IRQ], 1000);
}
END_TEST

/* The VM did not run for 1,000 periods: one edge, the next one in phase. */
START_TEST(line_missed)
{
	unsigned int edges;
	int mode = 2 + _i;

	start(0, 0x30 | mode << 1, 1000);
	to(1 + 2000);
	edges = unit_edges[IRQ];
	unit_now = at(1 + 1002300);
	timers_run(&unit_timers);
	ck_assert_uint_eq(unit_edges[IRQ], edges + 2);
	ck_assert_int_eq(unit_level[IRQ], 1);
	ck_assert_uint_eq(timers_next(&unit_timers),
	    at(1 + (mode == 2 ? 1003000 : 1002500)));
	/* The same, but an access comes before the timer. */
	unit_now = at(1 + 2001400);
	latched(0);
	edges += 4;
	ck_assert_uint_eq(unit_edges[IRQ], edges);
	timers_run(&unit_timers);
	ck_assert_uint_eq(unit_edges[IRQ], edges);
	to(1 + 2002000);
	ck_assert_uint_eq(unit_edges[IRQ], edges + 2);
}
END_TEST

/* The edge between an old count and a new one is neither's, but comes. */
START_TEST(line_change)
{
	unsigned int edges;
	bool late = _i;

	start(0, 0x34, 1000);
	to(500);
	edges = unit_edges[IRQ];
	out(0x40, 5000 & 0xff);
	out(0x40, 5000 >> 8);
	if (late)
		unit_now = at(3000);
	else
		to(1000);
	ck_assert_uint_eq(unit_edges[IRQ], edges);
	timers_run(&unit_timers);
	to(late ? 3000 : 1001);
	ck_assert_uint_eq(unit_edges[IRQ], edges + 2);
	to(6000);
	ck_assert_uint_eq(unit_edges[IRQ], edges + 2);
	to(6001);
	ck_assert_uint_eq(unit_edges[IRQ], edges + 4);
}
END_TEST

/* One shot, modes 0 and 4, as Linux uses them. */
START_TEST(line_once)
{
	int mode = 4 * _i;

	start(0, 0x30 | mode << 1, 500);
	ck_assert_int_eq(unit_level[IRQ], mode == 4);
	ck_assert_uint_eq(timers_next(&unit_timers),
	    at(501 + (mode == 4)));
	to(500 + (mode == 4));
	ck_assert_uint_eq(unit_edges[IRQ], mode == 4);
	to(501 + (mode == 4));
	ck_assert_uint_eq(unit_edges[IRQ], mode == 4 ? 3 : 1);
	ck_assert_int_eq(unit_level[IRQ], 1);
	ck_assert_uint_eq(timers_next(&unit_timers), TIME_NEVER);
	/* Set again before it ends: the first end does not come. */
	out(0x40, 100);
	out(0x40, 0);
	to(550);
	out(0x40, 200);
	out(0x40, 0);
	to(550 + 200 + (mode == 4));
	ck_assert_uint_eq(unit_edges[IRQ], mode == 4 ? 3 : 2);
	to(550 + 201 + (mode == 4));
	ck_assert_uint_eq(unit_edges[IRQ], mode == 4 ? 5 : 3);
}
END_TEST

/* An edge that is due goes before what a write does to OUT. */
START_TEST(line_late_write)
{
	start(0, 0x30, 100);
	unit_now = at(200);
	start(0, 0x30, 100);
	ck_assert_uint_eq(unit_edges[IRQ], 2);
	ck_assert_int_eq(unit_level[IRQ], 0);
	to(301);
	ck_assert_uint_eq(unit_edges[IRQ], 3);
}
END_TEST

/* Counts that the data sheet forbids must not keep the owner busy. */
START_TEST(line_count_one)
{
	start(0, 0x34, 1);
	to(1000);
	start(0, 0x36, 1);
	to(2000);
	ck_assert_uint_le(unit_edges[IRQ], 4);
	ck_assert_uint_eq(timers_next(&unit_timers), TIME_NEVER);
	out(0x40, 50);
	out(0x40, 0);
	to(3000);
	ck_assert_uint_gt(unit_edges[IRQ], 10);
}
END_TEST

/* In modes 2 and 3 OUT stands still then, and the line with it: high. */
START_TEST(count_one)
{
	int control = 0x34 | _i << 1;

	start(0, control, 1);
	start(2, control, 1);
	gate(true);
	to(15);
	ck_assert_uint_eq(status(0) & 0x80, 0x80);
	ck_assert_int_eq(out2(), 1);
	ck_assert_int_eq(unit_level[IRQ], 1);
	ck_assert_uint_eq(unit_edges[IRQ], 1);
	/* As it does at the begin of the next cycle. */
	out(0x40, 100);
	out(0x40, 0);
	to(20);
	ck_assert_uint_eq(status(0) & 0x80, 0x80);
	ck_assert_int_eq(unit_level[IRQ], 1);
}
END_TEST

/* --- Port 0x61 --- */

START_TEST(port61)
{
	unsigned int i, toggles = 0;
	bool last = false;

	out(0x61, 0xff);
	ck_assert_uint_eq(in(0x61) & 0xcf, 0x0f);
	out(0x61, 0xf2);
	ck_assert_uint_eq(in(0x61) & 0xcf, 0x02);
	for (i = 0; i < 1000; i++) {
		unit_run(i * 1000);
		if ((in(0x61) & 0x10) != 0 && !last)
			toggles++;
		last = in(0x61) & 0x10;
	}
	/* 30.2 us high and low again. */
	ck_assert_uint_eq(toggles, 33);
	ck_assert_uint_eq(unit_in(&bus, 0x61, 2), 0xff00 | in(0x61));
}
END_TEST

/* --- Linux --- */

/* pit_calibrate_tsc(): 10 ms of counter 2, by looking at OUT. */
START_TEST(linux_tsc)
{
	uint64_t begin, ticks = 1193182 / 100;

	unit_run(123456789);
	out(0x61, (in(0x61) & ~0x02) | 0x01);
	out(0x43, 0xb0);
	out(0x42, ticks & 0xff);
	out(0x42, ticks >> 8);
	begin = unit_now;
	while ((in(0x61) & 0x20) == 0) {
		ck_assert_uint_lt(unit_now - begin, 20000000);
		unit_run(unit_now + 500);
	}
	/* 11,931 ticks and the one that loads. */
	ck_assert_uint_ge(unit_now - begin, 9999000);
	ck_assert_uint_le(unit_now - begin, 10001500);
}
END_TEST

/* quick_pit_calibrate(): the high byte, as it goes down from 0xff. */
START_TEST(linux_tsc_quick)
{
	uint64_t begin = 0;
	unsigned int i, n;
	uint8_t msb;

	out(0x61, (in(0x61) & ~0x02) | 0x01);
	out(0x43, 0xb0);
	out(0x42, 0xff);
	out(0x42, 0xff);
	in(0x42);
	in(0x42);
	unit_run(unit_now + 1000);
	for (i = 0; i <= 40; i++) {
		for (n = 0; n < 50000; n++) {
			in(0x42);
			msb = in(0x42);
			if (msb != 0xff - i)
				break;
			unit_run(unit_now + 1000);
		}
		ck_assert_uint_gt(n, 5);
		ck_assert_uint_eq(msb, 0xfe - i);
		if (i == 0)
			begin = unit_now;
	}
	/* 40 times 256 ticks. */
	ck_assert_uint_ge(unit_now - begin, 8582000 - 1000);
	ck_assert_uint_le(unit_now - begin, 8582000 + 1000);
}
END_TEST

/* The timer that ticks 250 times a second, then a shot, then nothing. */
START_TEST(linux_ticks)
{
	unsigned int edges;

	start(0, 0x34, (1193182 + 125) / 250);
	edges = unit_edges[IRQ];
	unit_run(unit_now + SECOND_NS);
	ck_assert_uint_eq((unit_edges[IRQ] - edges) / 2, 249);
	unit_run(unit_now + SECOND_NS / 250);
	ck_assert_uint_eq((unit_edges[IRQ] - edges) / 2, 250);
	out(0x43, 0x38);
	edges = unit_edges[IRQ];
	out(0x40, 0xa9);
	out(0x40, 0x04);
	unit_run(unit_now + SECOND_NS);
	ck_assert_uint_eq(unit_edges[IRQ] - edges, 2);
	start(0, 0x30, 0);
	unit_run(unit_now + 54000000);
	ck_assert_int_eq(unit_level[IRQ], 0);
}
END_TEST

/* Any bytes in any order: defined, and soon over. */
START_TEST(hostile)
{
	uint64_t x = 88172645463325252ULL;
	unsigned int i;

	for (i = 0; i < 200000; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		if (x & 0x100)
			in((x & 0x600) == 0 ? 0x61 : 0x40 + (x >> 9 & 3));
		else
			out((x & 0x600) == 0 ? 0x61 : 0x40 + (x >> 9 & 3), x);
		unit_now += x >> 16 & 0x3fffff;
		if (x >> 40 & 1)
			timers_run(&unit_timers);
		if (i % 5000 == 0)
			unit_now += 1ULL << 57;
	}
	ck_assert_uint_lt(unit_edges[IRQ], 400000);
}
END_TEST

/* --- A counter that counts --- */

/* The data sheet's words, a tick after the other, to compare with. */
static struct {
	int	mode, access, most, cr, ce, low;
	bool	bcd, gate, out, null, loaded, fresh, trigger, half, shot;
} ref;

static void
ref_program(int control)
{
	bool on = ref.gate;

	memset(&ref, 0, sizeof(ref));
	ref.gate = on;
	ref.access = control >> 4 & 3;
	ref.mode = (control >> 1 & 7) > 5 ? control >> 1 & 3 : control >> 1 & 7;
	ref.bcd = control & 1;
	ref.most = ref.bcd ? 10000 : 65536;
	ref.out = ref.mode != 0;
	ref.null = true;
}

/* Counts are below ten: the same in BCD. */
static void
ref_write(uint8_t v)
{
	if (ref.mode == 0)
		ref.out = ref.loaded = ref.fresh = false;
	if (ref.access == 3 && !ref.half) {
		ref.low = v;
		ref.half = true;
		return;
	}
	ref.cr = ref.access == 3 ? ref.low : v;
	ref.half = false;
	ref.null = true;
	if (ref.mode == 0 || ref.mode == 4 ||
	    (ref.mode != 1 && ref.mode != 5 && !ref.loaded))
		ref.fresh = true;
}

static void
ref_gate(bool on)
{
	bool level = ref.mode == 0 || ref.mode == 4;

	if (on && !ref.gate && !level && ref.cr > 0)
		ref.trigger = true;
	if (!on && (ref.mode == 2 || ref.mode == 3))
		ref.out = true;
	if (!on && ref.mode == 4 && !ref.out) {	/* see gate_strobe */
		ref.out = true;
		ref.ce = ref.most - 1;
	}
	ref.gate = on;
}

static void
ref_load(bool rise)
{
	ref.ce = ref.mode == 3 ? ref.cr & ~1 : ref.cr;
	ref.out = rise;
	ref.null = false;
	ref.loaded = true;
	/* One shot; in mode 3 the tick more of a half that is odd and high. */
	ref.shot = ref.mode != 3 || (rise && ref.cr & 1);
}

static void
ref_tick(void)
{
	if (ref.fresh || ref.trigger) {
		ref.fresh = ref.trigger = false;
		ref_load(ref.mode > 1);
		return;
	}
	if (ref.mode > 3)
		ref.out = true;			/* a strobe is over */
	if (!ref.loaded || (!ref.gate && ref.mode != 1 && ref.mode != 5))
		return;
	if (ref.mode == 2) {
		if (ref.ce == 1)
			ref_load(true);
		else
			ref.out = --ref.ce > 1;
	} else if (ref.mode == 3) {
		if (ref.ce == 0 || (ref.ce == 2 && !ref.shot))
			ref_load(!ref.out);
		else
			ref.ce -= 2;
	} else {
		ref.ce = (ref.ce + ref.most - 1) % ref.most;
		if (ref.ce == 0 && ref.shot) {
			ref.out = ref.mode < 2;
			ref.shot = false;
		}
	}
}

static void
ref_step(uint64_t *now)
{
	int v = rand();
	bool tick = v & 0x10000;

	switch (v >> 8 & 7) {
	case 0:
		v = 0x10 + 0x20 * (v >> 12 & 1) + (v & 15);
		out(0x43, 0x80 | v);
		ref_program(v);
		break;
	case 1:
	case 2:
		/* Second bytes are 0; counts of 1 are not for all modes. */
		v = ref.half ? 0 : 2 + v % 8;
		out(0x42, v);
		ref_write(v);
		break;
	case 3:
	case 4:
		gate(v & 1);
		ref_gate(v & 1);
		break;
	default:
		break;
	}
	ck_assert_uint_eq(status(2) >> 6, ref.out << 1 | ref.null);
	if (ref.loaded && ref.access == 3) {
		v = latched(2);
		if (ref.bcd)
			v = (v >> 12) * 1000 + (v >> 8 & 15) * 100 +
			    (v >> 4 & 15) * 10 + (v & 15);
		ck_assert_int_eq(v, ref.ce);
	}
	if (tick) {
		to(++*now);
		ref_tick();
	}
}

/* What a program does, in any order: a hundred steps, and from the start. */
START_TEST(counts)
{
	uint64_t now = 0;
	int i, j;

	srand(1);
	for (i = 0; i < 1000; i++) {
		out(0x43, 0xb0);
		ref_program(0x30);
		for (j = 0; j < 100; j++)
			ref_step(&now);
	}
}
END_TEST

static void
setup(void)
{
	unit_start();
	bus.n = 0;
	i8254_init(&pit, &bus, &unit_timers, unit_line(IRQ));
}

int
main(void)
{
	TCase *tc = unit_case("i8254", setup);

	tcase_add_loop_test(tc, modes, 0, sizeof(waves) / sizeof(waves[0]));
	tcase_add_test(tc, initial_out);
	tcase_add_test(tc, zero_is_most);
	tcase_add_test(tc, bcd);
	tcase_add_test(tc, access_one);
	tcase_add_test(tc, access_both);
	tcase_add_test(tc, latches);
	tcase_add_test(tc, null_count);
	tcase_add_test(tc, square_change);
	tcase_add_test(tc, new_count);
	tcase_add_loop_test(tc, gate_level, 0, 2);
	tcase_add_test(tc, gate_strobe);
	tcase_add_loop_test(tc, gate_both, 0, 2);
	tcase_add_test(tc, gate_trigger);
	tcase_add_test(tc, line_no_drift);
	tcase_add_test(tc, line_square);
	tcase_add_loop_test(tc, line_missed, 0, 2);
	tcase_add_loop_test(tc, line_change, 0, 2);
	tcase_add_loop_test(tc, line_once, 0, 2);
	tcase_add_test(tc, line_late_write);
	tcase_add_test(tc, line_count_one);
	tcase_add_loop_test(tc, count_one, 0, 2);
	tcase_add_test(tc, port61);
	tcase_add_test(tc, linux_tsc);
	tcase_add_test(tc, linux_tsc_quick);
	tcase_add_test(tc, linux_ticks);
	tcase_add_test(tc, hostile);
	tcase_add_test(tc, counts);
	return (unit_end());
}
