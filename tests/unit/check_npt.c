/* SPDX-License-Identifier: ISC */
/*
 * check_npt.c - the nested page table, against a walker of its own: fake_walk
 * reads the tables as an AMD CPU does.
 */
#include <signal.h>

#include "unit.h"

static const struct npt_format fmt = {
	.table = 0x7,
	.leaf = 0x5,
	.large = 0x80,
	.r = 0x1,
	.w = 0x2,
	.x = 0,
	.nx = 1ULL << 63,
	.present = 0x1,
	.max_order = ORDER_1G,
	.exec_only = false,
};

/* As EPT has it: three rights, execute without read. */
static const struct npt_format ept = {
	.table = 0x7,
	.leaf = 0x30,
	.large = 0x80,
	.r = 0x1,
	.w = 0x2,
	.x = 0x4,
	.nx = 0,
	.present = 0x7,
	.max_order = ORDER_2M,
	.exec_only = true,
};

#define RWX	(NPT_R | NPT_W | NPT_X)
#define GPA	0x40201000ULL

static struct npt npt;
static struct host_as *as;

static void
setup(void)
{
	fake_reset();
	ck_assert_int_eq(host_as_get(1 << 20, &as), 0);
	ck_assert_int_eq(npt_init(&npt, &fmt), 0);
}

static void
teardown(void)
{
	npt_free(&npt);
	host_as_put(as, 1 << 20);
	fake_check_clean();
}

/* Take one block of a new client mapping of `bytes` at `va`. */
static uint64_t
take(uint64_t va, uint64_t bytes, int flags, unsigned int want)
{
	uint64_t hpa;
	unsigned int order;

	fake_user_map(va, bytes, flags);
	ck_assert_int_eq(host_user_take(as, va, want, &hpa, &order), 0);
	ck_assert_uint_eq(order, want);
	return (hpa);
}

/* What the CPU would find. */
static void
expect(uint64_t gpa, uint64_t hpa, int rights, uint64_t size)
{
	uint64_t pa, leaf;
	int r;

	ck_assert(fake_walk(host_pa_of(npt.root), gpa, &pa, &r, &leaf));
	ck_assert_uint_eq(pa, hpa);
	ck_assert_int_eq(r, rights);
	ck_assert_uint_eq(leaf, size);
}

static void
expect_none(uint64_t gpa)
{
	uint64_t pa, leaf;
	int r;

	ck_assert(!fake_walk(host_pa_of(npt.root), gpa, &pa, &r, &leaf));
}

START_TEST(empty)
{
	struct npt_leaf leaf;

	ck_assert_uint_eq(npt.tables, 1);
	ck_assert_uint_eq(npt.pages, 0);
	ck_assert(!npt_lookup(&npt, 0, &leaf));
	ck_assert(!npt_lookup(&npt, GPA, &leaf));
	expect_none(GPA);
}
END_TEST

START_TEST(init_no_memory)
{
	struct npt n;

	fake_fail_at(1);
	ck_assert_int_eq(npt_init(&n, &fmt), ENOMEM);
	npt_free(&n);		/* of nothing */
}
END_TEST

START_TEST(map_4k)
{
	struct npt_leaf leaf;
	uint64_t hpa = take(0x10000, PAGE_SIZE_4K, 0, 0);

	ck_assert_int_eq(npt_map(&npt, GPA, hpa, 0, RWX), 0);
	expect(GPA + 0x123, hpa + 0x123, RWX, PAGE_SIZE_4K);
	expect_none(GPA - 1);
	expect_none(GPA + PAGE_SIZE_4K);
	ck_assert_uint_eq(npt.pages, 1);
	ck_assert_uint_eq(npt.tables, 4);
	ck_assert(npt_lookup(&npt, GPA + 0xfff, &leaf));
	ck_assert_uint_eq(leaf.gpa, GPA);
	ck_assert_uint_eq(leaf.hpa, hpa);
	ck_assert_uint_eq(leaf.order, 0);
	ck_assert_uint_eq(leaf.prot, RWX);
}
END_TEST

START_TEST(map_2m)
{
	struct npt_leaf leaf;
	uint64_t hpa = take(0x400000, 2 * MIB, FAKE_HUGE, ORDER_2M);

	ck_assert_int_eq(npt_map(&npt, 0x600000, hpa, ORDER_2M, RWX), 0);
	expect(0x600000, hpa, RWX, 2 * MIB);
	expect(0x7fffff, hpa + 0x1fffff, RWX, 2 * MIB);
	expect_none(0x5fffff);
	expect_none(0x800000);
	ck_assert_uint_eq(npt.pages, 512);
	ck_assert_uint_eq(npt.tables, 3);
	ck_assert(npt_lookup(&npt, 0x7fffff, &leaf));
	ck_assert_uint_eq(leaf.gpa, 0x600000);
	ck_assert_uint_eq(leaf.order, ORDER_2M);
}
END_TEST

START_TEST(map_1g)
{
	uint64_t hpa = take(1ULL << 30, 1ULL << 30, FAKE_HUGE, ORDER_1G);

	ck_assert_int_eq(npt_map(&npt, 1ULL << 30, hpa, ORDER_1G, RWX), 0);
	expect(0x7fffffff, hpa + 0x3fffffff, RWX, 1ULL << 30);
	ck_assert_uint_eq(npt.pages, 512 * 512);
	ck_assert_uint_eq(npt.tables, 2);
	/* 4 KiB less of rights: two splits, all other rights kept. */
	ck_assert_int_eq(npt_protect(&npt, GPA, PAGE_SIZE_4K, NPT_R), 0);
	ck_assert_uint_eq(npt.tables, 4);
	expect(GPA, hpa + (GPA - (1ULL << 30)), NPT_R, PAGE_SIZE_4K);
	expect(GPA + PAGE_SIZE_4K, hpa + (GPA + PAGE_SIZE_4K - (1ULL << 30)),
	    RWX, PAGE_SIZE_4K);
	expect(0x7fffffff, hpa + 0x3fffffff, RWX, 2 * MIB);
	ck_assert_uint_eq(npt.pages, 512 * 512);
}
END_TEST

/* The last page below 256 TiB and the first: all four indices. */
START_TEST(map_edges)
{
	uint64_t a = take(0x10000, PAGE_SIZE_4K, 0, 0);
	uint64_t b = take(0x20000, PAGE_SIZE_4K, 0, 0);

	ck_assert_int_eq(npt_map(&npt, 0xfffffffff000, a, 0, RWX), 0);
	ck_assert_int_eq(npt_map(&npt, 0, b, 0, RWX), 0);
	expect(0xfffffffff000, a, RWX, PAGE_SIZE_4K);
	expect(0, b, RWX, PAGE_SIZE_4K);
	ck_assert_uint_eq(npt.tables, 7);
}
END_TEST

/* Every combination of rights, as AMD can express it: R is implied. */
START_TEST(rights_npt)
{
	uint64_t hpa = take(0x10000, PAGE_SIZE_4K, 0, 0);
	struct npt_leaf leaf;
	uint8_t p;

	ck_assert_int_eq(npt_map(&npt, GPA, hpa, 0, RWX), 0);
	for (p = NPT_R; p <= RWX; p++) {
		ck_assert_int_eq(npt_protect(&npt, GPA, PAGE_SIZE_4K, p), 0);
		expect(GPA, hpa, p | NPT_R, PAGE_SIZE_4K);
		ck_assert(npt_lookup(&npt, GPA, &leaf));
		ck_assert_uint_eq(leaf.prot, p | NPT_R);
		ck_assert_uint_eq(leaf.hpa, hpa);
	}
}
END_TEST

/* The same of EPT, on a CPU with execute-only and on one without. */
START_TEST(rights_ept)
{
	static struct npt_format f;		/* until teardown */
	uint64_t hpa = take(0x10000, PAGE_SIZE_4K, 0, 0);
	struct npt_leaf leaf;
	uint8_t p;

	f = ept;
	f.exec_only = _i != 0;
	npt_free(&npt);
	ck_assert_int_eq(npt_init(&npt, &f), 0);
	ck_assert_int_eq(npt_map(&npt, GPA, hpa, 0, RWX), 0);
	for (p = NPT_R; p <= RWX; p++) {
		ck_assert_int_eq(npt_protect(&npt, GPA, PAGE_SIZE_4K, p), 0);
		ck_assert(npt_lookup(&npt, GPA, &leaf));
		/* W without R is a misconfigured entry. */
		ck_assert_uint_eq(leaf.prot,
		    p == NPT_X && f.exec_only ? p : p | NPT_R);
		ck_assert_uint_eq(leaf.hpa, hpa);
	}
}
END_TEST

/* Rights of half a large page: split once, the other half untouched. */
START_TEST(split_half)
{
	uint64_t hpa = take(0x400000, 2 * MIB, FAKE_HUGE, ORDER_2M), i;

	ck_assert_int_eq(npt_map(&npt, 0x600000, hpa, ORDER_2M, RWX), 0);
	ck_assert_int_eq(npt_protect(&npt, 0x600000, MIB, NPT_R | NPT_X), 0);
	for (i = 0; i < 2 * MIB; i += PAGE_SIZE_4K)
		expect(0x600000 + i, hpa + i, i < MIB ? NPT_R | NPT_X : RWX,
		    PAGE_SIZE_4K);
	ck_assert_uint_eq(npt.pages, 512);
	ck_assert_uint_eq(npt.tables, 4);
}
END_TEST

/* Rights of whole large pages: nothing is split. */
START_TEST(protect_whole)
{
	uint64_t hpa;

	fake_user_map(0x400000, 4 * MIB, FAKE_HUGE);
	hpa = fake_user_pa(0x400000);
	for (int i = 0; i < 2; i++) {
		uint64_t pa;
		unsigned int order;

		ck_assert_int_eq(host_user_take(as, 0x400000 + i * 2 * MIB,
		    ORDER_2M, &pa, &order), 0);
		ck_assert_int_eq(npt_map(&npt, 0x600000 + i * 2 * MIB, pa,
		    ORDER_2M, RWX), 0);
	}
	ck_assert_int_eq(npt_protect(&npt, 0x600000, 4 * MIB, NPT_R), 0);
	ck_assert_uint_eq(npt.tables, 3);
	expect(0x600000, hpa, NPT_R, 2 * MIB);
	expect(0x9fffff, hpa + 4 * MIB - 1, NPT_R, 2 * MIB);
}
END_TEST

/* A split keeps the rights that the large page had. */
START_TEST(split_keeps_rights)
{
	uint64_t hpa = take(0x400000, 2 * MIB, FAKE_HUGE, ORDER_2M);

	ck_assert_int_eq(npt_map(&npt, 0x600000, hpa, ORDER_2M, RWX), 0);
	ck_assert_int_eq(npt_protect(&npt, 0x600000, 2 * MIB, NPT_R), 0);
	ck_assert_int_eq(npt_protect(&npt, 0x601000, PAGE_SIZE_4K, RWX), 0);
	expect(0x600000, hpa, NPT_R, PAGE_SIZE_4K);
	expect(0x601000, hpa + 0x1000, RWX, PAGE_SIZE_4K);
	expect(0x602000, hpa + 0x2000, NPT_R, PAGE_SIZE_4K);
}
END_TEST

START_TEST(split_no_memory)
{
	uint64_t hpa = take(0x400000, 2 * MIB, FAKE_HUGE, ORDER_2M);

	ck_assert_int_eq(npt_map(&npt, 0x600000, hpa, ORDER_2M, RWX), 0);
	fake_fail_at(1);
	ck_assert_int_eq(npt_protect(&npt, 0x601000, PAGE_SIZE_4K, NPT_R),
	    ENOMEM);
	ck_assert(fake_failed());
	expect(0x601000, hpa + 0x1000, RWX, 2 * MIB);
	ck_assert_int_eq(npt_protect(&npt, 0x601000, PAGE_SIZE_4K, NPT_R), 0);
	expect(0x601000, hpa + 0x1000, NPT_R, PAGE_SIZE_4K);
}
END_TEST

/* Each of the three table pages of a mapping may be refused. */
START_TEST(map_no_memory)
{
	uint64_t hpa = take(0x10000, PAGE_SIZE_4K, 0, 0);
	unsigned int n;

	for (n = 1; n <= 3; n++) {
		fake_fail_at(1);
		ck_assert_int_eq(npt_map(&npt, GPA, hpa, 0, RWX), ENOMEM);
		expect_none(GPA);
		ck_assert_uint_eq(npt.pages, 0);
		fake_fail_at(2);	/* one table further each time */
		if (n < 3)
			ck_assert_int_eq(npt_map(&npt, GPA, hpa, 0, RWX),
			    ENOMEM);
	}
	fake_fail_at(0);
	ck_assert_int_eq(npt_map(&npt, GPA, hpa, 0, RWX), 0);
	expect(GPA, hpa, RWX, PAGE_SIZE_4K);
}
END_TEST

START_TEST(fit)
{
	uint64_t hpa = take(0x10000, PAGE_SIZE_4K, 0, 0);

	ck_assert_uint_eq(npt_fit(&npt, GPA, ORDER_1G), ORDER_1G);
	ck_assert_uint_eq(npt_fit(&npt, GPA, ORDER_2M), ORDER_2M);
	ck_assert_uint_eq(npt_fit(&npt, GPA, ORDER_4K), ORDER_4K);
	ck_assert_int_eq(npt_map(&npt, GPA, hpa, 0, RWX), 0);
	ck_assert_uint_eq(npt_fit(&npt, GPA, ORDER_1G), ORDER_4K);
	ck_assert_uint_eq(npt_fit(&npt, GPA + 0x1000, ORDER_1G), ORDER_4K);
	ck_assert_uint_eq(npt_fit(&npt, GPA + 2 * MIB, ORDER_1G), ORDER_2M);
	ck_assert_uint_eq(npt_fit(&npt, GPA + (1ULL << 30), ORDER_1G),
	    ORDER_1G);
}
END_TEST

START_TEST(fit_bounded_by_format)
{
	struct npt n;

	ck_assert_int_eq(npt_init(&n, &ept), 0);
	ck_assert_uint_eq(npt_fit(&n, GPA, ORDER_1G), ORDER_2M);
	npt_free(&n);
}
END_TEST

/* Freeing gives back every block, whole or in the pieces of a split. */
START_TEST(free_releases)
{
	uint64_t a = take(0x400000, 2 * MIB, FAKE_HUGE, ORDER_2M);
	uint64_t b = take(0x10000, PAGE_SIZE_4K, 0, 0);

	ck_assert_int_eq(npt_map(&npt, 0x600000, a, ORDER_2M, RWX), 0);
	ck_assert_int_eq(npt_map(&npt, GPA, b, 0, RWX), 0);
	ck_assert_int_eq(npt_protect(&npt, 0x601000, PAGE_SIZE_4K, NPT_R), 0);
	ck_assert_uint_eq(fake_pins(), 513);
	npt_free(&npt);
	ck_assert_uint_eq(fake_pins(), 0);
	ck_assert_uint_eq(fake_kernel_pages(), 0);
	ck_assert_uint_eq(npt.pages, 0);
}
END_TEST

/* Mapping over a mapping is a broken invariant: the driver stops itself. */
START_TEST(map_twice)
{
	uint64_t hpa = take(0x10000, PAGE_SIZE_4K, 0, 0);

	ck_assert_int_eq(npt_map(&npt, GPA, hpa, 0, RWX), 0);
	(void)npt_map(&npt, GPA, hpa, 0, RWX);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("npt");
	TCase *tc = tcase_create("npt");

	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, empty);
	tcase_add_test(tc, init_no_memory);
	tcase_add_test(tc, map_4k);
	tcase_add_test(tc, map_2m);
	tcase_add_test(tc, map_1g);
	tcase_add_test(tc, map_edges);
	tcase_add_test(tc, rights_npt);
	tcase_add_loop_test(tc, rights_ept, 0, 2);
	tcase_add_test(tc, split_half);
	tcase_add_test(tc, protect_whole);
	tcase_add_test(tc, split_keeps_rights);
	tcase_add_test(tc, split_no_memory);
	tcase_add_test(tc, map_no_memory);
	tcase_add_test(tc, fit);
	tcase_add_test(tc, fit_bounded_by_format);
	tcase_add_test(tc, free_releases);
	tcase_add_test_raise_signal(tc, map_twice, SIGABRT);
	return (s);
}
