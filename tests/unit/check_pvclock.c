/* SPDX-License-Identifier: ISC */
/*
 * check_pvclock.c - the paravirtual clock (F15).
 */
#define _GNU_SOURCE
#include "leaf.h"
#include "trace.h"

/* KVM's layout, typed again. */
struct info {
	uint32_t	version, pad;
	uint64_t	tsc, ns;
	uint32_t	mul;
	int8_t		shift;
	uint8_t		flags, pad2[2];
};

#define ENABLE		1
#define CANARY		0xc3

static struct info
info_at(uint64_t gpa)
{
	struct info i;

	ck_assert_uint_eq(sizeof(i), 32);
	fake_user_read(GUEST_VA + gpa, &i, sizeof(i));
	return (i);
}

/* What a guest computes, and what is true, to the nanosecond. */
static uint64_t
guest_ns(const struct info *i, uint64_t delta)
{
	if (i->shift >= 0)
		delta <<= i->shift;
	else
		delta >>= -i->shift;
	return ((uint64_t)(((unsigned __int128)delta * i->mul) >> 32));
}

static const struct {
	uint64_t	value;
	int		error;
} address[] = {
	{ 0, 0 },
	{ 0xfffffffffffffff0, 0 },		/* off: any address */
	{ LEAF_SIZE, 0 },
	{ 0 | ENABLE, 0 },
	{ 0x1000 | ENABLE, 0 },
	{ 0x1010 | ENABLE, 0 },
	{ 0x101f, 0 },				/* bits 1-3 do not count */
	{ 0x1fe0 | ENABLE, 0 },
	{ 0x1ff0 | ENABLE, EINVAL },		/* crosses a page */
	{ (LEAF_SIZE - 32) | ENABLE, 0 },	/* the last slot */
	{ (LEAF_SIZE - 16) | ENABLE, EINVAL },
	{ LEAF_SIZE | ENABLE, EINVAL },
	{ 0xf0000000 | ENABLE, EINVAL },
	{ 0xffffffffffffffe0 | ENABLE, EINVAL },
	{ 1ULL << 63 | ENABLE, EINVAL },
};

START_TEST(f15_address)
{
	uint64_t value = address[_i].value, gpa = value & ~0xfULL;

	ck_assert_int_eq(pvclock_set(&leaf.v, 0x3001), 0);
	ck_assert_int_eq(pvclock_set(&leaf.v, value), address[_i].error);
	if (address[_i].error != 0) {
		ck_assert_uint_eq(leaf.v.pvclock_gpa, 0x3001);
		ck_assert_uint_eq(leaf.v.pvclock_version, 1);
		return;
	}
	ck_assert_uint_eq(leaf.v.pvclock_gpa, value);
	ck_assert_uint_eq(leaf.v.pvclock_version, 1 + (value & 1));
	if ((value & 1) != 0)
		ck_assert_uint_eq(info_at(gpa).version, 4);
}
END_TEST

/* Every field, and not a byte beside it. */
START_TEST(written)
{
	uint8_t page[PAGE_SIZE_4K];
	struct info i;
	size_t n;

	memset(page, CANARY, sizeof(page));
	fake_user_write(GUEST_VA + 0x2000, page, sizeof(page));
	fake_tsc_set(0x1122334455);
	fake_time = 0x66778899aabb;
	pvclock_init_vm(&leaf.vm);
	leaf.v.pvclock_version = 41;
	ck_assert_int_eq(pvclock_set(&leaf.v, 0x2341), 0);
	ck_assert_uint_eq(leaf.v.pvclock_version, 42);
	i = info_at(0x2340);
	ck_assert_uint_eq(i.version, 84);
	ck_assert_uint_eq(i.tsc, leaf.vm.base_tsc);
	ck_assert_uint_ge(i.tsc, 0x1122334455);
	ck_assert_uint_eq(i.ns, 0x66778899aabb);
	ck_assert_uint_eq(i.flags, 1);
	ck_assert_uint_eq(i.pad, CANARY * 0x01010101U);
	ck_assert_uint_eq(i.pad2[0], CANARY);
	fake_user_read(GUEST_VA + 0x2000, page, sizeof(page));
	for (n = 0; n < sizeof(page); n++)
		if (n < 0x340 || n >= 0x360)
			ck_assert_uint_eq(page[n], CANARY);
}
END_TEST

/* All VCPUs of a VM are on one line, whenever they enable their clock. */
START_TEST(f15_one_line)
{
	struct info a, b;

	pvclock_init_vm(&leaf.vm);
	ck_assert_int_eq(pvclock_set(&leaf.v, 0x1001), 0);
	a = info_at(0x1000);
	fake_tsc_set(1ULL << 40);
	fake_time += 12345;
	leaf.v.id = 1;
	ck_assert_int_eq(pvclock_set(&leaf.v, 0x1041), 0);
	b = info_at(0x1040);
	ck_assert_uint_eq(a.tsc, b.tsc);
	ck_assert_uint_eq(a.ns, b.ns);
	ck_assert_uint_eq(a.mul, b.mul);
	ck_assert_int_eq(a.shift, b.shift);
}
END_TEST

/* The multiplier, at the speeds there are and at its ends. */
static const uint64_t speed[] = {
	1, 1000, 1000000, 24000000, 99999999, 100000000, 249999999, 250000000,
	500000000, 999999999, 1000000000, 1000000001, 1999999999, 2000000000,
	2000000001, 2399988765, 3000000000, 3999999999, 4000000000, 4000000001,
	5700000000, 7999999999, 8000000000, 10000000000, 12345678901,
};

START_TEST(precision)
{
	static const uint64_t seconds[] = { 1, 60, 3600, 86400 };
	uint64_t hz = speed[_i], exact, ns, off;
	struct info i;
	size_t n;

	fake_tsc_hz = hz;
	ck_assert_int_eq(pvclock_set(&leaf.v, 0x1001), 0);
	i = info_at(0x1000);
	ck_assert_int_ge(i.shift, -2);
	ck_assert_int_le(i.shift, 31);
	for (n = 0; n < sizeof(seconds) / sizeof(seconds[0]); n++) {
		exact = seconds[n] * 1000000000;
		ns = guest_ns(&i, seconds[n] * hz);
		off = ns > exact ? ns - exact : exact - ns;
		/* Half a second a year is 1.6e-8; this is 2e-9. */
		ck_assert_msg(off <= 2 * seconds[n] + 1,
		    "%llu Hz, %llu s: off by %llu ns", (unsigned long long)hz,
		    (unsigned long long)seconds[n], (unsigned long long)off);
	}
}
END_TEST

START_TEST(unknown_speed)
{
	struct info i;

	fake_tsc_hz = 0;
	ck_assert_int_eq(pvclock_set(&leaf.v, 0x1001), 0);
	i = info_at(0x1000);
	ck_assert_uint_eq(i.version, 2);
	ck_assert_uint_eq(i.mul, 0);
	ck_assert_int_eq(i.shift, 0);
}
END_TEST

START_TEST(f15_disable)
{
	struct info a, b;

	ck_assert_int_eq(pvclock_set(&leaf.v, 0x1001), 0);
	a = info_at(0x1000);
	ck_assert_int_eq(pvclock_set(&leaf.v, 0x1000), 0);
	b = info_at(0x1000);
	ck_assert_int_eq(memcmp(&a, &b, sizeof(a)), 0);
	ck_assert_uint_eq(leaf.v.pvclock_version, 1);
	ck_assert_uint_eq(leaf.v.pvclock_gpa, 0x1000);
}
END_TEST

START_TEST(f5_reset)
{
	ck_assert_int_eq(pvclock_set(&leaf.v, 0x1001), 0);
	pvclock_reset(&leaf.v);
	ck_assert_uint_eq(leaf.v.pvclock_gpa, 0);
	ck_assert_uint_eq(leaf.v.pvclock_version, 0);
	ck_assert_uint_eq(info_at(0x1000).version, 2);
}
END_TEST

/* The client took the page away before the guest touched it. */
START_TEST(no_page)
{
	fake_user_unmap(GUEST_VA + 0x5000, PAGE_SIZE_4K);
	ck_assert_int_eq(pvclock_set(&leaf.v, 0x5001), EFAULT);
	ck_assert_uint_eq(leaf.v.pvclock_gpa, 0);
	ck_assert_uint_eq(leaf.v.pvclock_version, 0);
}
END_TEST

/*
 * A guest that looks between two stores of the driver sees an odd version, or
 * the old structure, or the new one.
 */
static const struct info *live;
static struct info before;
static unsigned int odd, torn;

static void
look(unsigned int n)
{
	(void)n;
	if ((live->version & 1) != 0)
		odd++;
	else if ((live->tsc != before.tsc || live->ns != before.ns) &&
	    (live->tsc != leaf.vm.base_tsc || live->ns != leaf.vm.base_ns))
		torn++;
}

START_TEST(f15_version_odd_while_writing)
{
	ck_assert_int_eq(pvclock_set(&leaf.v, 0x1001), 0);
	before = info_at(0x1000);
	live = fake_user_ptr(GUEST_VA + 0x1000);
	leaf.vm.base_tsc += 1000;
	leaf.vm.base_ns += 500;
	odd = torn = 0;
	trace_start(0x1000, look);
	ck_assert_int_eq(pvclock_set(&leaf.v, 0x1001), 0);
	trace_stop();
	ck_assert_uint_ge(trace_count, 7);
	ck_assert_uint_eq(odd, trace_count - 1);
	ck_assert_uint_eq(torn, 0);
	ck_assert_uint_eq(live->version, before.version + 2);
	ck_assert_uint_eq(live->tsc, leaf.vm.base_tsc);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("pvclock");
	TCase *tc = leaf_case(s, "pvclock");

	tcase_add_loop_test(tc, f15_address, 0,
	    sizeof(address) / sizeof(address[0]));
	tcase_add_loop_test(tc, precision, 0,
	    sizeof(speed) / sizeof(speed[0]));
	tcase_add_test(tc, written);
	tcase_add_test(tc, f15_one_line);
	tcase_add_test(tc, unknown_speed);
	tcase_add_test(tc, f15_disable);
	tcase_add_test(tc, f5_reset);
	tcase_add_test(tc, no_page);
	tcase_add_test(tc, f15_version_odd_while_writing);
	return (s);
}
