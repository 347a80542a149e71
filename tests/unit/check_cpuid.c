/* SPDX-License-Identifier: ISC */
/*
 * check_cpuid.c - the guest's CPUID against values worked out by hand from
 * abi.md 4.3, for the fake CPU as it is and for others.
 */
#include <insn.h>

#include "leaf.h"

#define VCPU_ID		3

struct answer {
	uint32_t	leaf, sub;
	uint32_t	r[4];
};

static void
expect(const struct answer *a)
{
	uint32_t r[4] = { 1, 2, 3, 4 };
	int i;

	cpuid_guest(&leaf.v, a->leaf, a->sub, r);
	for (i = 0; i < 4; i++)
		ck_assert_msg(r[i] == a->r[i], "leaf %#x.%u %s: %#x, not %#x",
		    a->leaf, a->sub, &"EAX\0EBX\0ECX\0EDX"[4 * i], r[i],
		    a->r[i]);
}

static void
setup_vcpu(void)
{
	leaf.v.id = VCPU_ID;
	leaf.v.xcr0 = 1;
}

/* The fake CPU: AMD, highest leaf 0xd, invariant TSC at 2 GHz. */
static const struct answer plain[] = {
	{ 0, 0, { 0x15, 0x68747541, 0x444d4163, 0x69746e65 } },
	{ 0, 9, { 0x15, 0x68747541, 0x444d4163, 0x69746e65 } },
	{ 1, 0, { 0x00800f12, 0x03000800, 0xf6d83203, 0x078ba97f } },
	{ 1, 7, { 0x00800f12, 0x03000800, 0xf6d83203, 0x078ba97f } },
	{ 2, 0, { 0 } },
	{ 3, 0, { 0 } },
	{ 4, 0, { 0 } },
	{ 5, 0, { 0 } },
	{ 6, 0, { 0 } },
	{ 7, 0, { 0, 0x209c01a9, 0x4, 0 } },
	{ 7, 1, { 0 } },
	{ 7, 0xffffffff, { 0 } },
	{ 9, 0, { 0 } },
	{ 0xa, 0, { 0 } },
	{ 0xb, 0, { 0 } },
	{ 0xb, 1, { 0 } },
	{ 0xd, 0, { 7, 576, 832, 0 } },
	{ 0xd, 1, { 0 } },
	{ 0xd, 2, { 256, 576, 0, 0 } },
	{ 0xd, 3, { 0 } },
	{ 0xd, 9, { 0 } },
	{ 0xd, 62, { 0 } },
	{ 0xf, 0, { 0 } },
	{ 0x14, 0, { 0 } },
	{ 0x15, 0, { 1, 100, 20000000, 0 } },
	/* past the last leaf: the last one (F13: 32-bit inputs) */
	{ 0x16, 0, { 1, 100, 20000000, 0 } },
	{ 0x3fffffff, 0, { 1, 100, 20000000, 0 } },
	{ 0x40000000, 0, { 0x40000001, 0x6e65704f, 0x56445342, 0x38354d4d } },
	{ 0x40000001, 0, { 0x01000008, 0, 0, 0 } },
	{ 0x40000002, 0, { 0 } },
	{ 0x40000100, 0, { 0 } },
	{ 0x7fffffff, 0, { 0 } },
	{ 0x80000000, 0, { 0x80000008, 0, 0, 0 } },
	{ 0x80000001, 0, { 0x00800f12, 0, 0x000001f1, 0x27d3a97f } },
	{ 0x80000002, 0, { 0x656b6146, 0x55504320, 0, 0 } },
	{ 0x80000003, 0, { 0 } },
	{ 0x80000004, 0, { 0 } },
	{ 0x80000005, 0, { 0xff40ff40, 0xff40ff40, 0x20080140, 0x40040140 } },
	{ 0x80000006, 0, { 0x26006400, 0x66006400, 0x02006140, 0x00808140 } },
	{ 0x80000007, 0, { 0, 0, 0, 0x100 } },
	{ 0x80000008, 0, { 0x3030, 0x5, 0, 0 } },
	{ 0x80000009, 0, { 0 } },
	{ 0x8000000a, 0, { 0 } },
	{ 0x8000001f, 0, { 0 } },
	{ 0x80000020, 0, { 1, 100, 20000000, 0 } },
	{ 0xffffffff, 0, { 1, 100, 20000000, 0 } },
};

START_TEST(f24_plain)
{
	expect(&plain[_i]);
}
END_TEST

/* Whatever the host has: all bits set, the guest sees the whitelists. */
START_TEST(f24_whitelist)
{
	static const struct answer all[] = {
		{ 1, 0, { ~0U, 0x0300ffff, 0xf6d83203, 0x078ba97f } },
		{ 7, 0, { 0, 0x219c23e9, 0x1a000704, 0x00000400 } },
		{ 0xd, 0, { 7, 576, 832, 0 } },
		{ 0xd, 1, { 0 } },
		{ 0xd, 9, { 0 } },
		{ 0xd, 11, { 0 } },
		{ 0x80000001, 0, { ~0U, 0, 0x002109f1, 0xe7d3a97f } },
		{ 0x80000008, 0, { 0x3030, 0xf8f80205, 0, ~0U } },
	};
	size_t i;

	fake_cpuid_set(1, 0, ~0U, ~0U, ~0U, ~0U);
	fake_cpuid_set(7, 0, ~0U, ~0U, ~0U, ~0U);
	fake_cpuid_set(0xd, 1, ~0U, ~0U, ~0U, ~0U);
	fake_cpuid_set(0xd, 9, 8, 2688, 0, 0);
	fake_cpuid_set(0xd, 11, 16, 0, 1, 0);
	fake_cpuid_set(0x80000001, 0, ~0U, ~0U, ~0U, ~0U);
	fake_cpuid_set(0x80000008, 0, 0x3030, ~0U, ~0U, ~0U);
	leaf_attach();
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		expect(&all[i]);
}
END_TEST

/* A whitelist shows nothing that the reference hides. */
START_TEST(f24_within_reference)
{
	static const struct {
		uint32_t	leaf;
		int		reg;
		uint32_t	mask;
	} row[] = {
		{ 1, 2, VMM_CPUIDECX_MASK },
		{ 1, 3, VMM_CPUIDEDX_MASK },
		{ 7, 1, VMM_SEFF0EBX_MASK },
		{ 7, 2, VMM_SEFF0ECX_MASK },
		{ 7, 3, VMM_SEFF0EDX_MASK },
		{ 0x80000001, 2, VMM_ECPUIDECX_MASK },
		{ 0x80000001, 3, VMM_FEAT_EFLAGS_MASK },
	};
	uint32_t r[4];
	size_t i;

	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		fake_cpuid_set(row[i].leaf, 0, ~0U, ~0U, ~0U, ~0U);
		leaf_attach();
		leaf.v.cr4 = CR4_OSXSAVE;
		cpuid_guest(&leaf.v, row[i].leaf, 0, r);
		ck_assert_uint_eq(r[row[i].reg] & ~row[i].mask, 0);
	}
}
END_TEST

START_TEST(osxsave_is_cr4)
{
	uint32_t r[4];

	leaf.v.cr4 = CR4_OSXSAVE;
	cpuid_guest(&leaf.v, 1, 0, r);
	ck_assert_uint_eq(r[2], 0xfed83203);
	leaf.v.cr4 = ~CR4_OSXSAVE;
	cpuid_guest(&leaf.v, 1, 0, r);
	ck_assert_uint_eq(r[2], 0xf6d83203);
}
END_TEST

START_TEST(apic_id_is_vcpu_id)
{
	uint32_t r[4], id;

	for (id = 0; id < VMM_MAX_VCPUS_PER_VM; id++) {
		leaf.v.id = id;
		cpuid_guest(&leaf.v, 1, 0, r);
		ck_assert_uint_eq(r[1], id << 24 | 0x0800);
	}
}
END_TEST

START_TEST(xsave_size_is_xcr0)
{
	static const struct answer avx = { 0xd, 0, { 7, 832, 832, 0 } };
	static const struct answer sse = { 0xd, 0, { 7, 576, 832, 0 } };

	leaf.v.xcr0 = 7;
	expect(&avx);
	leaf.v.xcr0 = 3;
	expect(&sse);
}
END_TEST

START_TEST(no_xsave)
{
	static const struct answer row[] = {
		{ 1, 0, { 0x00800f12, 0x03000800, 0xc2d82203, 0x078ba97f } },
		{ 7, 0, { 0, 0x209c0189, 0x4, 0 } },
		{ 0xd, 0, { 0 } },
		{ 0xd, 2, { 0 } },
		{ 0x80000001, 0, { 0x00800f12, 0, 0x000001f1, 0x27d3a97f } },
	};
	size_t i;

	fake_no_xsave();
	leaf_attach();
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		expect(&row[i]);
	ck_assert(!cpuid_shows(CPUID_1_ECX, 26));
}
END_TEST

/* The CPU has everything, but the host did not turn XSAVE on. */
START_TEST(no_xsave_by_host)
{
	static const struct answer row[] = {
		{ 1, 0, { ~0U, 0x0300ffff, 0xc2d82203, 0x078ba97f } },
		{ 7, 0, { 0, 0x219c23c9, 0x1a000104, 0x00000400 } },
		{ 0x80000001, 0, { ~0U, 0, 0x002001f1, 0xe7d3a97f } },
	};
	size_t i;

	fake_no_xsave();
	fake_cpuid_set(1, 0, ~0U, ~0U, ~0U, ~0U);
	fake_cpuid_set(7, 0, ~0U, ~0U, ~0U, ~0U);
	fake_cpuid_set(0x80000001, 0, ~0U, ~0U, ~0U, ~0U);
	leaf_attach();
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		expect(&row[i]);
}
END_TEST

/* An Intel CPU: leaves 2, 4, 0x15 and 0x16 of its own. */
START_TEST(intel)
{
	static const struct answer row[] = {
		{ 0, 0, { 0x1f, 0x756e6547, 0x6c65746e, 0x49656e69 } },
		{ 2, 0, { 0x00feff01, 0xf0, 0, 0 } },
		{ 4, 0, { 0x121, 0x01c0003f, 0x3f, 0 } },
		{ 4, 3, { 0x163, 0x03c0003f, 0x1fff, 6 } },
		{ 4, 4, { 0 } },
		{ 0x15, 0, { 2, 166, 24000000, 0 } },
		{ 0x16, 0, { 2000, 3500, 100, 0 } },
		{ 0x17, 0, { 0 } },
		{ 0x1f, 1, { 0 } },
		{ 0x20, 1, { 0 } },
		{ 0x80000008, 0, { 0x3027, 0, 0, 0 } },
		{ 0x80000009, 0, { 0 } },
	};
	size_t i;

	fake_cpuid_set(0, 0, 0x1f, 0x756e6547, 0x6c65746e, 0x49656e69);
	fake_cpuid_set(2, 0, 0x00feff01, 0xf0, 0, 0);
	fake_cpuid_set(4, 0, 0x1c004121, 0x01c0003f, 0x3f, 0);
	fake_cpuid_set(4, 3, 0x1c03c163, 0x03c0003f, 0x1fff, 6);
	fake_cpuid_set(0x15, 0, 2, 166, 24000000, 0);
	fake_cpuid_set(0x16, 0, 2000, 3500, 100, 0);
	fake_cpuid_set(0x1f, 1, 5, 16, 0x201, 0);
	fake_cpuid_set(0x80000000, 0, 0x80000008, 0, 0, 0);
	fake_cpuid_set(0x80000001, 0, 0, 0, 0x121, 0x2c100800);
	fake_cpuid_set(0x80000008, 0, 0x3927, 0, 0, 0);
	leaf_attach();
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		expect(&row[i]);
	ck_assert(!cpuid_host_svm());
	ck_assert_uint_eq(cpuid_phys_mask(), 0x7fffffffff);
}
END_TEST

/* Leaf 0x15 is made up only for a TSC that is invariant and known. */
START_TEST(f13_no_tsc_leaf)
{
	static const struct answer row[] = {
		{ 0, 0, { 0xd, 0x68747541, 0x444d4163, 0x69746e65 } },
		{ 0xe, 2, { 256, 576, 0, 0 } },
		{ 0x15, 2, { 256, 576, 0, 0 } },
		{ 0x80000020, 2, { 256, 576, 0, 0 } },
	};
	size_t i;

	if (_i == 0)
		fake_tsc_hz = 0;
	else
		fake_cpuid_set(0x80000007, 0, 0, 0, 0, 0);
	leaf_attach();
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		expect(&row[i]);
}
END_TEST

/* A CPU so old that it lacks the leaves we look at. */
START_TEST(old_cpu)
{
	static const struct answer row[] = {
		{ 0, 0, { 1, 0x68747541, 0x444d4163, 0x69746e65 } },
		{ 1, 0, { 0x00800f12, 0x03000800, 0xf6d83203, 0x078ba97f } },
		{ 7, 0, { 0x00800f12, 0x03000800, 0xf6d83203, 0x078ba97f } },
		{ 0x80000000, 0, { 0x80000008, 0, 0, 0 } },
		{ 0x80000001, 0, { 0 } },
		{ 0x80000004, 0, { 0 } },
		{ 0x80000008, 0, { 0 } },
		{ 0x80000009, 0,
		    { 0x00800f12, 0x03000800, 0xf6d83203, 0x078ba97f } },
	};
	size_t i;

	fake_cpuid_set(0, 0, 1, 0x68747541, 0x444d4163, 0x69746e65);
	fake_cpuid_set(0x80000000, 0, 0, 0, 0, 0);
	leaf_attach();
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		expect(&row[i]);
	ck_assert_uint_eq(cpuid_phys_mask(), 0xfffffffff);
	ck_assert(!cpuid_shows(CPUID_E1_EDX, 20));
}
END_TEST

/* MISC_ENABLE bit 22: leaves 3 .. 0x7fffffff are gone. */
/* The MSR is Intel's: on AMD what a client leaves in its place says nothing. */
START_TEST(limit_leaves)
{
	uint32_t r[4];
	size_t i;
	struct answer a;

	leaf.v.misc_enable = 1 << 22;
	for (i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		expect(&plain[i]);
	insn_cpuid(0x80000001, 0, r);
	fake_cpuid_set(0x80000001, 0, r[0], r[1], r[2] & ~4U, r[3]);
	cpuid_attach();
	for (i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		a = plain[i];
		if (a.leaf >= 3 && a.leaf <= 0x7fffffff)
			memset(a.r, 0, sizeof(a.r));
		expect(&a);
	}
	leaf.v.misc_enable = ~(1UL << 22);
	for (i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		expect(&plain[i]);
}
END_TEST

/* Four levels map 48 bits: a guest sees no more, and may use no more. */
START_TEST(f24_phys_bits)
{
	static const struct answer row = { 0x80000008, 0, { 0x3030, 5, 0, 0 } };

	fake_cpuid_set(0x80000008, 0, 0x3034, 0x1007, 0, 0);
	leaf_attach();
	expect(&row);
	ck_assert_uint_eq(cpuid_phys_mask(), 0xffffffffffff);
}
END_TEST

START_TEST(questions_of_the_driver)
{
	ck_assert(cpuid_host_svm());
	ck_assert(cpuid_shows(CPUID_E1_EDX, 20));
	ck_assert_uint_eq(cpuid_phys_mask(), 0xffffffffffff);
	ck_assert(cpuid_shows(CPUID_7_EBX, 20));
	ck_assert(!cpuid_shows(CPUID_7_EBX, 10));
	ck_assert(!cpuid_shows(CPUID_E1_EDX, 27));	/* RDTSCP */
	ck_assert(!cpuid_shows(CPUID_E1_ECX, 2));	/* SVM */
	fake_cpuid_set(0x80000001, 0, 0, 0, ~4U, ~(1U << 20));
	leaf_attach();
	ck_assert(!cpuid_host_svm());
	ck_assert(!cpuid_shows(CPUID_E1_EDX, 20));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("cpuid");
	TCase *tc = leaf_case(s, "cpuid");

	tcase_add_checked_fixture(tc, setup_vcpu, NULL);
	tcase_add_loop_test(tc, f24_plain, 0,
	    sizeof(plain) / sizeof(plain[0]));
	tcase_add_loop_test(tc, f13_no_tsc_leaf, 0, 2);
	tcase_add_test(tc, f24_whitelist);
	tcase_add_test(tc, f24_within_reference);
	tcase_add_test(tc, osxsave_is_cr4);
	tcase_add_test(tc, apic_id_is_vcpu_id);
	tcase_add_test(tc, xsave_size_is_xcr0);
	tcase_add_test(tc, no_xsave);
	tcase_add_test(tc, no_xsave_by_host);
	tcase_add_test(tc, intel);
	tcase_add_test(tc, old_cpu);
	tcase_add_test(tc, limit_leaves);
	tcase_add_test(tc, f24_phys_bits);
	tcase_add_test(tc, questions_of_the_driver);
	return (s);
}
