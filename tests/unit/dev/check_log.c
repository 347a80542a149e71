/* SPDX-License-Identifier: ISC */
/*
 * check_log.c - what devices tell: a bounded part of it, since a guest can
 * have them tell the same again after each reset.
 */
#include "dev_unit.h"

/* dev_unit.c has one of its own. */
#define dev_log	log_line
void	log_line(const char *fmt, ...);
#include "../../../src/vmctl/log.c"

START_TEST(bounded)
{
	unsigned int i;

	for (i = 1; i < LOG_LINES; i++)
		log_line("line %u", i);
	ck_assert_str_eq(unit_told, "line 999");
	log_line("line %u", i);
	ck_assert_str_eq(unit_told, "line 1000; devices tell no more");
	log_line("one more");
	ck_assert_str_eq(unit_told, "line 1000; devices tell no more");
	ck_assert_uint_eq(unit_tells, LOG_LINES);
}
END_TEST

int
main(void)
{
	TCase *tc = unit_case("log", unit_start);

	tcase_add_test(tc, bounded);
	return (unit_end());
}
