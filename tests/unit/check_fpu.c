/* SPDX-License-Identifier: ISC */
/*
 * check_fpu.c - guest and host x87, SSE and AVX state around an entry.
 */
#include "insn.h"
#include "leaf.h"

static struct fake_fpu *
regs(void)
{
	return (fake_fpu(fake_self()->cpu));
}

static uint64_t
xcr0(void)
{
	return (fake_xcr0(fake_self()->cpu));
}

static void
begin(void)
{
	ck_assert(host_enter_begin());
	host_fpu_begin();
	fpu_enter(&leaf.v);
}

/* fake_host dies here if XCR0 is not the host's. */
static void
end(void)
{
	fpu_leave(&leaf.v);
	host_fpu_end();
	host_enter_end();
}

/* What a guest might have in its registers. */
static void
scribble(struct fake_fpu *f, uint8_t seed)
{
	memset(f->x87, seed, sizeof(f->x87));
	f->mxcsr = 0x1f80 | (seed & 0x3f);
	memset(f->xmm, seed + 1, sizeof(f->xmm));
	memset(f->ymmh, seed + 2, sizeof(f->ymmh));
}

/* Compare, but for the bytes of the x87 image that are MXCSR's. */
static void
same(const struct fake_fpu *a, const struct fake_fpu *b, bool avx)
{
	ck_assert_int_eq(memcmp(a->x87, b->x87, 24), 0);
	ck_assert_int_eq(memcmp(a->x87 + 32, b->x87 + 32, 128), 0);
	ck_assert_uint_eq(a->mxcsr, b->mxcsr);
	ck_assert_int_eq(memcmp(a->xmm, b->xmm, sizeof(a->xmm)), 0);
	if (avx)
		ck_assert_int_eq(memcmp(a->ymmh, b->ymmh, sizeof(a->ymmh)), 0);
}

static void
fresh(const struct fake_fpu *f, bool avx)
{
	struct fake_fpu want;

	memset(&want, 0, sizeof(want));
	want.x87[0] = 0x7f;
	want.x87[1] = 0x03;
	want.mxcsr = 0x1f80;
	same(f, &want, avx);
}

/* A new VCPU starts with FNINIT's state and nothing of the host's. */
START_TEST(f5_reset)
{
	begin();
	fresh(regs(), true);
	scribble(regs(), 0x40);
	end();
	fpu_reset(&leaf.v);
	ck_assert_uint_eq(leaf.v.xcr0, 1);
	begin();
	fresh(regs(), true);
	end();
}
END_TEST

/* Kept over an exit, whatever XCR0 the guest has, and the host's too. */
START_TEST(kept)
{
	static const uint64_t guest_xcr0[] = { 1, 3, 7 };
	struct fake_fpu host = *regs(), guest;
	int n;

	leaf.v.xcr0 = guest_xcr0[_i];
	for (n = 0; n < 5; n++) {
		begin();
		ck_assert_uint_eq(xcr0(), guest_xcr0[_i]);
		if (n > 0)
			same(regs(), &guest, true);
		scribble(&guest, (uint8_t)(n * 16));
		*regs() = guest;
		end();
		ck_assert_uint_eq(xcr0(), FAKE_HOST_XCR0);
		ck_assert_int_eq(memcmp(&host, regs(), sizeof(host)), 0);
		ck_assert_uint_eq(leaf.v.xcr0, guest_xcr0[_i]);
	}
}
END_TEST

/* Turning AVX off and on again does not lose what was in it. */
START_TEST(avx_survives_xcr0)
{
	struct fake_fpu guest;

	leaf.v.xcr0 = 7;
	begin();
	scribble(&guest, 0x33);
	*regs() = guest;
	end();
	leaf.v.xcr0 = 1;
	begin();
	end();
	leaf.v.xcr0 = 7;
	begin();
	same(regs(), &guest, true);
	end();
}
END_TEST

/* F17: XSETBV that no one intercepted. */
static const struct {
	uint64_t	before, set, after;
} unguarded[] = {
	{ 1, 7, 7 },
	{ 1, 3, 3 },
	{ 7, 1, 1 },
	{ 7, 7, 7 },
	{ 3, 0x3, 3 },
};

START_TEST(f17_unguarded_xsetbv)
{
	leaf.v.xcr0 = unguarded[_i].before;
	begin();
	insn_xsetbv(unguarded[_i].set);
	end();
	ck_assert_uint_eq(leaf.v.xcr0, unguarded[_i].after);
	ck_assert_uint_eq(xcr0(), FAKE_HOST_XCR0);
	begin();
	ck_assert_uint_eq(xcr0(), unguarded[_i].after);
	end();
}
END_TEST

/*
 * A host with less on than its CPU has: what the guest switched on beside it
 * is dropped. The fake CPU takes XCR0 7, the host says it only uses 3.
 */
START_TEST(f17_clamped)
{
	fpu_xcr0 = 3;
	leaf.v.xcr0 = 1;
	begin();
	insn_xsetbv(7);
	end();
	ck_assert_uint_eq(leaf.v.xcr0, 3);
	fpu_xcr0 = 5;		/* and what is left makes no sense */
	begin();
	insn_xsetbv(7);
	end();
	ck_assert_uint_eq(leaf.v.xcr0, 1);
}
END_TEST

START_TEST(no_xsave)
{
	struct fake_fpu host, guest;
	int n;

	fake_no_xsave();
	leaf_attach();
	ck_assert_uint_eq(fpu_xcr0, 0);
	fpu_reset(&leaf.v);
	ck_assert_uint_eq(leaf.v.xcr0, 0);
	host = *regs();
	for (n = 0; n < 3; n++) {
		begin();
		if (n == 0)
			fresh(regs(), false);
		else
			same(regs(), &guest, false);
		scribble(&guest, (uint8_t)(n * 16));
		*regs() = guest;
		end();
		ck_assert_int_eq(memcmp(&host, regs(), sizeof(host)), 0);
	}
}
END_TEST

/* XSAVE in the CPU, but CR4.OSXSAVE off: the host does not use it. */
START_TEST(host_without_osxsave)
{
	uint32_t r[4];

	fake_cpuid_get(1, 0, r);
	fake_no_xsave();
	fake_cpuid_set(1, 0, r[0], r[1], r[2], r[3]);
	leaf_attach();
	ck_assert_uint_eq(fpu_xcr0, 0);
	begin();
	end();
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("fpu");
	TCase *tc = leaf_case(s, "fpu");

	tcase_add_test(tc, f5_reset);
	tcase_add_loop_test(tc, kept, 0, 3);
	tcase_add_test(tc, avx_survives_xcr0);
	tcase_add_loop_test(tc, f17_unguarded_xsetbv, 0,
	    sizeof(unguarded) / sizeof(unguarded[0]));
	tcase_add_test(tc, f17_clamped);
	tcase_add_test(tc, no_xsave);
	tcase_add_test(tc, host_without_osxsave);
	return (s);
}
