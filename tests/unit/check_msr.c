/* SPDX-License-Identifier: ISC */
/*
 * check_msr.c - the table of MSRs (F16), on an AMD and on an Intel CPU.
 */
#include "leaf.h"

#define GP	(-1)		/* read: #GP(0) */

/* How an MSR answers; `native` ones never come here. */
static const struct {
	uint32_t	index;
	bool		native;
	int		amd, intel;	/* RDMSR: error, GP or 0 */
	uint64_t	value;
	int		wamd, wintel;	/* WRMSR of 0x5a5a5a5a: GP or 0 */
} table[] = {
	/* index, native, read AMD, Intel, value, write AMD, Intel */
	{ 0x00000017, false, 0, 0, 0, 0, 0 },
	{ 0x0000001b, false, 0, 0, 0xfee00900, 0, 0 },
	{ 0x0000003a, false, 0, 0, 1, GP, GP },
	{ 0x0000008b, false, 0, 0, 0, 0, 0 },
	{ 0x0000009b, false, GP, GP, 0, 0, GP },
	{ 0x000000fe, false, GP, GP, 0, 0, 0 },
	{ 0x00000174, true, GP, GP, 0, GP, GP },
	{ 0x00000175, true, GP, GP, 0, GP, GP },
	{ 0x00000176, true, GP, GP, 0, GP, GP },
	{ 0x000001a0, false, GP, 0, 0x11, 0, 0 },
	{ 0x00000277, false, 0, 0, PAT_RESET, GP, GP },
	{ 0xc0000080, false, 0, 0, 0x500, GP, GP },
	{ 0xc0000081, true, GP, GP, 0, GP, GP },
	{ 0xc0000082, true, GP, GP, 0, GP, GP },
	{ 0xc0000083, true, GP, GP, 0, GP, GP },
	{ 0xc0000084, true, GP, GP, 0, GP, GP },
	{ 0xc0000100, true, GP, GP, 0, GP, GP },
	{ 0xc0000101, true, GP, GP, 0, GP, GP },
	{ 0xc0000102, true, GP, GP, 0, GP, GP },
	{ 0xc0010055, false, 0, GP, 0, 0, 0 },
	{ 0xc0011029, false, 0, GP, 2, 0, 0 },
	/* never heard of: read is #GP, write is nothing */
	{ 0x00000000, false, GP, GP, 0, 0, 0 },
	{ 0x00000079, false, GP, GP, 0, 0, 0 },
	{ 0x00000480, false, GP, GP, 0, 0, 0 },
	{ 0x00000600, false, GP, GP, 0, 0, 0 },
	{ 0x00000da0, false, GP, GP, 0, 0, 0 },
	{ 0x40000000, false, GP, GP, 0, 0, 0 },
	{ 0x4b564d00, false, GP, GP, 0, 0, 0 },
	{ 0x4b564d04, false, GP, GP, 0, 0, 0 },
	{ 0xc0000103, false, GP, GP, 0, 0, 0 },
	{ 0xc0010015, false, GP, GP, 0, 0, 0 },
	{ 0xc001001f, false, GP, GP, 0, 0, 0 },
	{ 0xc0010114, false, GP, GP, 0, 0, 0 },
	{ 0xc0010117, false, GP, GP, 0, 0, 0 },
	{ 0xffffffff, false, GP, GP, 0, 0, 0 },
};

static void
intel(void)
{
	fake_cpuid_set(0x80000001, 0, 0, 0, 0x121, 0x2c100800);
	leaf_attach();
}

static void
setup_vcpu(void)
{
	leaf.v.pat = PAT_RESET;
	leaf.v.efer = EFER_LME | EFER_LMA;
	leaf.v.cr0 = CR0_PG | CR0_PE | CR0_ET;
	leaf.v.misc_enable = 0x11;
}

START_TEST(f16_table)
{
	struct vcpu before;
	uint64_t value;
	size_t i = (size_t)_i / 2;
	bool amd = _i % 2 == 0;
	int read = amd ? table[i].amd : table[i].intel;
	int write = amd ? table[i].wamd : table[i].wintel;

	if (!amd)
		intel();
	value = 0x77;
	before = leaf.v;
	ck_assert_int_eq(msr_read(&leaf.v, table[i].index, &value),
	    read == GP ? EINVAL : 0);
	ck_assert_uint_eq(value, read == GP ? 0x77 : table[i].value);
	ck_assert_int_eq(memcmp(&before, &leaf.v, sizeof(before)), 0);
	ck_assert_int_eq(msr_write(&leaf.v, table[i].index, 0x5a5a5a5a),
	    write == GP ? EINVAL : 0);
	if (table[i].index != 0x1a0 || amd)
		ck_assert_int_eq(memcmp(&before, &leaf.v, sizeof(before)), 0);
	ck_assert(msr_native(table[i].index, false) == table[i].native);
	ck_assert(msr_native(table[i].index, true) == table[i].native);
}
END_TEST

/* Only those of the table above are open, of all that a bitmap covers. */
START_TEST(f16_nothing_else_is_native)
{
	static const uint32_t base[] = { 0, 0xc0000000, 0xc0010000 };
	uint32_t i, n = 0;
	size_t b;

	for (b = 0; b < 3; b++)
		for (i = 0; i < 0x2000; i++)
			n += msr_native(base[b] + i, false) +
			    msr_native(base[b] + i, true);
	ck_assert_uint_eq(n, 2 * 10);
}
END_TEST

START_TEST(tsc)
{
	uint64_t a, b;

	fake_tsc_set(0x123456789a);
	ck_assert_int_eq(msr_read(&leaf.v, 0x10, &a), 0);
	ck_assert_uint_ge(a, 0x123456789a);
	ck_assert_int_eq(msr_write(&leaf.v, 0x10, 0), 0);
	ck_assert_int_eq(msr_read(&leaf.v, 0x10, &b), 0);
	ck_assert_uint_gt(b, a);
	ck_assert(!msr_native(0x10, true));
}
END_TEST

START_TEST(apicbase_bsp)
{
	uint64_t value;

	leaf.v.id = 1;
	ck_assert_int_eq(msr_read(&leaf.v, 0x1b, &value), 0);
	ck_assert_uint_eq(value, 0xfee00800);
}
END_TEST

START_TEST(misc_enable)
{
	uint64_t value;

	intel();
	ck_assert_int_eq(msr_write(&leaf.v, 0x1a0, ~0ULL), 0);
	ck_assert_int_eq(msr_read(&leaf.v, 0x1a0, &value), 0);
	ck_assert_uint_eq(value, 0xffffffffff7efff7);
	ck_assert_uint_eq(leaf.v.misc_enable, value);
}
END_TEST

START_TEST(pat)
{
	uint64_t value;

	ck_assert_int_eq(msr_write(&leaf.v, 0x277, 0x0606060606060606), 0);
	ck_assert_int_eq(msr_read(&leaf.v, 0x277, &value), 0);
	ck_assert_uint_eq(value, 0x0606060606060606);
	ck_assert_int_eq(msr_write(&leaf.v, 0x277, 0x0206060606060606), EINVAL);
	ck_assert_int_eq(msr_write(&leaf.v, 0x277, 0x0606060606060608), EINVAL);
	ck_assert_uint_eq(leaf.v.pat, 0x0606060606060606);
}
END_TEST

static const struct {
	uint64_t	cr0, old, value;
	int		error;
	uint64_t	result;
	unsigned int	flushes;
} efer[] = {
	{ 0, 0, 0, 0, 0, 0 },
	{ 0, 0, EFER_SCE, 0, EFER_SCE, 0 },
	{ 0, 0, EFER_LME, 0, EFER_LME, 0 },
	{ 0, EFER_LME, 0, 0, 0, 0 },
	{ CR0_PG, 0, EFER_LME, EINVAL, 0, 0 },
	{ CR0_PG, 0x500, EFER_LMA, EINVAL, 0x500, 0 },
	/* LMA is the CPU's: kept, whatever is written */
	{ CR0_PG, 0x500, EFER_LME, 0, 0x500, 0 },
	{ CR0_PG, 0x500, 0x501, 0, 0x501, 0 },
	{ 0, 0, EFER_LMA, 0, 0, 0 },
	/* NX changes what cached translations mean */
	{ CR0_PG, 0x500, 0xd00, 0, 0xd00, 1 },
	{ CR0_PG, 0xd00, 0x500, 0, 0x500, 1 },
	{ CR0_PG, 0xd00, 0xd01, 0, 0xd01, 0 },
	{ 0, 0, EFER_FFXSR, 0, EFER_FFXSR, 0 },
	/* SVME, LMSLE, TCE and what is reserved */
	{ 0, 0, EFER_SVME, EINVAL, 0, 0 },
	{ 0, 0, 0x2000, EINVAL, 0, 0 },
	{ 0, 0, 0x8000, EINVAL, 0, 0 },
	{ 0, 0, 0x2, EINVAL, 0, 0 },
	{ 0, 0, 0x200, EINVAL, 0, 0 },
	{ 0, 0, 1ULL << 32, EINVAL, 0, 0 },
	{ 0, 0, ~0ULL, EINVAL, 0, 0 },
};

START_TEST(efer_write)
{
	uint64_t value;

	leaf.v.cr0 = efer[_i].cr0 | CR0_ET;
	leaf.v.efer = efer[_i].old;
	leaf.v.dirty = 0;
	ck_assert_int_eq(msr_write(&leaf.v, 0xc0000080, efer[_i].value),
	    efer[_i].error);
	ck_assert_int_eq(msr_read(&leaf.v, 0xc0000080, &value), 0);
	ck_assert_uint_eq(value, efer[_i].result);
	ck_assert_uint_eq(leaf.flushes, efer[_i].flushes);
	ck_assert_uint_eq(leaf.v.dirty, efer[_i].error == 0 ? DIRTY_CR : 0);
}
END_TEST

START_TEST(efer_without_features)
{
	fake_cpuid_set(0x80000001, 0, 0, 0, 4, 0x20000800);
	leaf_attach();
	leaf.v.cr0 = CR0_ET;
	ck_assert_int_eq(msr_write(&leaf.v, 0xc0000080, EFER_NXE), EINVAL);
	ck_assert_int_eq(msr_write(&leaf.v, 0xc0000080, EFER_FFXSR), EINVAL);
	ck_assert_int_eq(msr_write(&leaf.v, 0xc0000080, EFER_SCE), 0);
}
END_TEST

START_TEST(system_time)
{
	uint64_t value;

	ck_assert_int_eq(msr_write(&leaf.v, 0x4b564d01, 0x2001), 0);
	ck_assert_uint_eq(leaf.v.pvclock_gpa, 0x2001);
	ck_assert_int_eq(msr_write(&leaf.v, 0x4b564d01, LEAF_SIZE | 1),
	    EINVAL);
	ck_assert_uint_eq(leaf.v.pvclock_gpa, 0x2001);
	ck_assert_int_eq(msr_read(&leaf.v, 0x4b564d01, &value), EINVAL);
	ck_assert(!msr_native(0x4b564d01, true));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("msr");
	TCase *tc = leaf_case(s, "msr");

	tcase_add_checked_fixture(tc, setup_vcpu, NULL);
	tcase_add_loop_test(tc, f16_table, 0,
	    2 * sizeof(table) / sizeof(table[0]));
	tcase_add_loop_test(tc, efer_write, 0,
	    sizeof(efer) / sizeof(efer[0]));
	tcase_add_test(tc, f16_nothing_else_is_native);
	tcase_add_test(tc, tsc);
	tcase_add_test(tc, apicbase_bsp);
	tcase_add_test(tc, misc_enable);
	tcase_add_test(tc, pat);
	tcase_add_test(tc, efer_without_features);
	tcase_add_test(tc, system_time);
	return (s);
}
