/* SPDX-License-Identifier: ISC */
/*
 * check_link.c - packets of frames between vmctl and the user network.
 */
#include "dev_unit.h"
#include "../../../src/vmctl/slirp/link.h"

static struct link l;
static uint8_t frame[UINT16_MAX];

static void
setup(void)
{
	size_t i;

	unit_start();
	memset(&l, 0, sizeof(l));
	for (i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)(i ^ i >> 8);
}

/* What link_next() gives is frame[0, len). */
static void
next_is(size_t len)
{
	size_t n = 0;
	const uint8_t *p = link_next(&l, &n);

	ck_assert_ptr_nonnull(p);
	ck_assert_uint_eq(n, len);
	ck_assert_mem_eq(p, frame, len);
}

static void
no_next(void)
{
	size_t n = 4711;

	ck_assert_ptr_null(link_next(&l, &n));
	ck_assert_uint_eq(n, 4711);
}

START_TEST(in_order)
{
	no_next();
	ck_assert(link_put(&l, frame, 60));
	ck_assert(link_put(&l, frame, 0));
	ck_assert(link_put(&l, frame, 1514));
	ck_assert_uint_eq(l.len, 3 * 2 + 60 + 1514);
	next_is(60);
	next_is(0);
	next_is(1514);
	no_next();
	no_next();
}
END_TEST

/* To the last byte, and not one further. */
START_TEST(full)
{
	size_t rest = LINK_PACKET - 21 * (2 + 1514), i;

	for (i = 0; i < 21; i++)
		ck_assert(link_put(&l, frame, 1514));
	ck_assert(!link_put(&l, frame, 1514));
	ck_assert(!link_put(&l, frame, rest - 1));
	ck_assert(link_put(&l, frame, rest - 2));
	ck_assert_uint_eq(l.len, LINK_PACKET);
	ck_assert(!link_put(&l, frame, 0));
	for (i = 0; i < 21; i++)
		next_is(1514);
	next_is(rest - 2);
	no_next();
}
END_TEST

START_TEST(too_long)
{
	ck_assert(!link_put(&l, frame, LINK_PACKET - 1));
	ck_assert(!link_put(&l, frame, UINT16_MAX));
	ck_assert(!link_put(&l, frame, UINT16_MAX + 1));
	ck_assert(!link_put(&l, frame, SIZE_MAX));
	ck_assert_uint_eq(l.len, 0);
	ck_assert(link_put(&l, frame, LINK_PACKET - 2));
	next_is(LINK_PACKET - 2);
}
END_TEST

/* The other side is a process that may have gone mad. */
START_TEST(cut_off)
{
	ck_assert(link_put(&l, frame, 10));
	ck_assert(link_put(&l, frame, 20));
	l.len--;
	next_is(10);
	no_next();
	l.len = l.at + 1;
	no_next();
	l.data[l.at] = l.data[l.at + 1] = 0xff;
	l.len = LINK_PACKET;
	no_next();
}
END_TEST

int
main(void)
{
	TCase *tc = unit_case("link", setup);

	tcase_add_test(tc, in_order);
	tcase_add_test(tc, full);
	tcase_add_test(tc, too_long);
	tcase_add_test(tc, cut_off);
	return (unit_end());
}
