/* SPDX-License-Identifier: ISC */
/*
 * check_dev.c - ports, timers and memory: what devices are made of.
 */
#include "dev_unit.h"

/* --- Ports --- */

static struct io seen[8];
static unsigned int nseen;

static void
note(void *dev, struct io *io)
{
	ck_assert_uint_lt(nseen, 8);
	seen[nseen++] = *io;
	if (io->in)
		io->data = *(uint32_t *)dev + io->port;
}

static uint32_t base = 0x40;

START_TEST(bus_ports)
{
	struct bus b = { .n = 0 };

	bus_add(&b, 0x3f8, 8, true, note, &base);
	ck_assert_uint_eq(unit_in(&b, 0x3f8, 1), 0x438);
	ck_assert_uint_eq(unit_in(&b, 0x3ff, 1), 0x43f);
	ck_assert_uint_eq(nseen, 2);
	ck_assert_uint_eq(unit_in(&b, 0x3f7, 1), 0xff);
	ck_assert_uint_eq(unit_in(&b, 0x400, 2), 0xffff);
	ck_assert_uint_eq(unit_in(&b, 0x400, 4), 0xffffffff);
	unit_out(&b, 0x400, 4, 1);
	ck_assert_uint_eq(nseen, 2);
}
END_TEST

/* Wider than the device: byte by byte, also out of its range. */
START_TEST(bus_bytes)
{
	struct bus b = { .n = 0 };

	bus_add(&b, 0x60, 2, true, note, &base);
	unit_out(&b, 0x60, 4, 0x44332211);
	ck_assert_uint_eq(nseen, 2);
	ck_assert_uint_eq(seen[0].port, 0x60);
	ck_assert_uint_eq(seen[0].data, 0x11);
	ck_assert_uint_eq(seen[0].size, 1);
	ck_assert_uint_eq(seen[1].port, 0x61);
	ck_assert_uint_eq(seen[1].data, 0x22);
	ck_assert_uint_eq(unit_in(&b, 0x61, 2), 0xffa1);
	/* It begins where nobody is. */
	ck_assert_uint_eq(unit_in(&b, 0x5f, 2), 0xa0ff);
	/* The last ports there are. */
	bus_add(&b, 0xffff, 1, false, note, &base);
	ck_assert_uint_eq(unit_in(&b, 0xffff, 4), 0x1003f);
	ck_assert_uint_eq(seen[nseen - 1].size, 4);
}
END_TEST

START_TEST(bus_over)
{
	struct bus b = { .n = 0 };
	uint32_t other = 0;

	bus_add(&b, 0x100, 4, false, note, &base);
	bus_add(&b, 0x102, 4, false, note, &other);
	ck_assert_uint_eq(unit_in(&b, 0x102, 1), 0x102);
	ck_assert_uint_eq(unit_in(&b, 0x101, 1), 0x141);
	bus_remove(&b, &other);
	ck_assert_uint_eq(unit_in(&b, 0x102, 1), 0x142);
	ck_assert_uint_eq(unit_in(&b, 0x105, 1), 0xff);
}
END_TEST

/* --- Timers --- */

static char order[16];

static void
fire(void *arg)
{
	strcat(order, arg);
}

static struct timer again;

static void
fire_again(void *arg)
{
	strcat(order, arg);
	timer_arm(&unit_timers, &again, unit_now + 5);
}

START_TEST(timer_order)
{
	struct timer a, b, c;

	timer_init(&a, fire, "a");
	timer_init(&b, fire, "b");
	timer_init(&c, fire, "c");
	ck_assert_uint_eq(timers_next(&unit_timers), TIME_NEVER);
	timer_arm(&unit_timers, &b, 20);
	timer_arm(&unit_timers, &a, 10);
	timer_arm(&unit_timers, &c, 20);
	ck_assert_uint_eq(timers_next(&unit_timers), 10);
	unit_run(9);
	ck_assert_str_eq(order, "");
	unit_run(10);
	ck_assert_str_eq(order, "a");
	ck_assert_uint_eq(a.at, TIME_NEVER);
	unit_run(100);
	ck_assert_str_eq(order, "abc");
	unit_run(200);
	ck_assert_str_eq(order, "abc");
}
END_TEST

START_TEST(timer_moves)
{
	struct timer a, b;

	timer_init(&a, fire, "a");
	timer_init(&b, fire, "b");
	timer_arm(&unit_timers, &a, 10);
	timer_arm(&unit_timers, &b, 20);
	timer_arm(&unit_timers, &a, 30);
	ck_assert_uint_eq(timers_next(&unit_timers), 20);
	timer_arm(&unit_timers, &b, TIME_NEVER);
	ck_assert_uint_eq(timers_next(&unit_timers), 30);
	unit_run(30);
	ck_assert_str_eq(order, "a");
}
END_TEST

START_TEST(timer_again)
{
	timer_init(&again, fire_again, "x");
	timer_arm(&unit_timers, &again, 5);
	unit_run(5);
	ck_assert_str_eq(order, "x");
	ck_assert_uint_eq(timers_next(&unit_timers), 10);
	unit_run(10);
	ck_assert_str_eq(order, "xx");
	timer_arm(&unit_timers, &again, TIME_NEVER);
}
END_TEST

/* --- Memory --- */

START_TEST(mem_edges)
{
	static uint8_t low[0x1000], high[0x2000];
	struct mem m = { .n = 2 };
	static const struct {
		uint64_t	gpa, len;
		uint8_t		*want;
	} t[] = {
		{ 0, 1, low }, { 0, 0x1000, low }, { 0xfff, 1, low + 0xfff },
		{ 0, 0x1001, NULL }, { 0xfff, 2, NULL }, { 0x1000, 1, NULL },
		{ 0, 0, NULL }, { 0x100000000ULL, 0x2000, high },
		{ 0x100001fffULL, 1, high + 0x1fff },
		{ 0x100002000ULL, 1, NULL }, { 0xffffffffULL, 2, NULL },
		{ 0, UINT64_MAX, NULL }, { UINT64_MAX, 1, NULL },
		{ UINT64_MAX, UINT64_MAX, NULL },
		{ 0x100000001ULL, UINT64_MAX, NULL },
	};
	size_t i;

	m.range[0] = (struct mem_range){ 0, sizeof(low), low };
	m.range[1] = (struct mem_range){ 0x100000000ULL, sizeof(high), high };
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		ck_assert_ptr_eq(mem_ptr(&m, t[i].gpa, t[i].len), t[i].want);
}
END_TEST

static void
setup(void)
{
	unit_start();
	nseen = 0;
	order[0] = '\0';
}

int
main(void)
{
	TCase *tc = unit_case("dev", setup);

	tcase_add_test(tc, bus_ports);
	tcase_add_test(tc, bus_bytes);
	tcase_add_test(tc, bus_over);
	tcase_add_test(tc, timer_order);
	tcase_add_test(tc, timer_moves);
	tcase_add_test(tc, timer_again);
	tcase_add_test(tc, mem_edges);
	return (unit_end());
}
