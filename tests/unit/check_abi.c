/* SPDX-License-Identifier: ISC */
/*
 * check_abi.c - include/vmmvar.h against the reference's facts: every size,
 * offset, number and ioctl of abi.h. abi.c asserts the same for the other
 * compilers.
 */
#include "unit.h"

#include "abi.h"

/* abi.md 1: sizes of all structures. */
START_TEST(sizes)
{
#define SIZE(t, n)	ck_assert_msg(sizeof(t) == (n), "sizeof(%s)", #t);
	ABI_SIZES(SIZE)
}
END_TEST

/* abi.md 1: where each field lies and how large it is. */
START_TEST(offsets)
{
#define OFFSET(t, f, o, n) \
	ck_assert_msg(offsetof(t, f) == (o), "offset of %s.%s", #t, #f); \
	ck_assert_msg(sizeof(((t *)0)->f) == (n), "size of %s.%s", #t, #f);
	ABI_OFFSETS(OFFSET)
}
END_TEST

/* abi.md 2: constants. */
START_TEST(values)
{
#define VALUE(name, v) \
	ck_assert_msg((long long)(name) == (long long)(v), "%s", #name);
	ABI_VALUES(VALUE)
	ck_assert_str_eq(VMM_HV_SIGNATURE, "OpenBSDVMM58");
}
END_TEST

/* abi.md 1.3: ioctl numbers as this system's _IOC makes them. */
START_TEST(ioctls)
{
#define LINUX(name, bsd, linux) \
	ck_assert_msg((uint32_t)(name) == (linux), "%s", #name);
	ABI_IOCTLS(LINUX)
}
END_TEST

START_TEST(signedness)
{
#define SIGNED(t, f, s) do { \
	t x; \
	x.f = 0; \
	x.f--; \
	ck_assert_msg((x.f > 0) != (s), "%s.%s", #t, #f); \
	} while (0);
	ABI_SIGNED(SIGNED)
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("abi");
	TCase *tc = tcase_create("abi");

	suite_add_tcase(s, tc);
	tcase_add_test(tc, sizes);
	tcase_add_test(tc, offsets);
	tcase_add_test(tc, values);
	tcase_add_test(tc, ioctls);
	tcase_add_test(tc, signedness);
	return (s);
}
