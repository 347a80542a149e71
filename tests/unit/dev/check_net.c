/* SPDX-License-Identifier: ISC */
/*
 * check_net.c - the user network's helper as a process that may do anything:
 * not start, hang, end, and not end.
 */
#define _GNU_SOURCE
#include <sys/stat.h>

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "dev_unit.h"
#include "../../../src/vmctl/net.c"

static struct mon mon;
static struct nic nic;
static char dir[] = "/tmp/check_net.XXXXXX";
static char path[sizeof(dir) + sizeof(HELPER) + 1];

void
mon_kick(struct mon *m)
{
	(void)m;
}

/* Once for all tests; also of one that fails nothing stays. */
static void
make_dir(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/%s", dir, HELPER);
}

static void
remove_dir(void)
{
	unlink(path);
	rmdir(dir);
}

static void
setup(void)
{
	unit_start();
	pthread_mutex_init(&mon.lock, NULL);
	unlink(path);
	ck_assert_int_eq(setenv("PATH", dir, 1), 0);
}

/* vmctl-slirp is this script now. */
static void
helper(const char *script)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fprintf(f, "#!/bin/sh\nPATH=/bin:/usr/bin\n%s\n", script);
	fclose(f);
	ck_assert_int_eq(chmod(path, 0700), 0);
}

START_TEST(none)
{
	ck_assert_int_eq(nic_open(&nic, &mon, "user"), CTL_FAIL);
	ck_assert_ptr_nonnull(strstr(unit_told, "No such file or directory; it "
	    "belongs beside vmctl"));
}
END_TEST

START_TEST(does_not_start)
{
	helper("exit 1");
	ck_assert_int_eq(nic_open(&nic, &mon, "user"), CTL_FAIL);
	ck_assert_str_eq(unit_told, "-n user: vmctl-slirp does not start; "
	    "install libslirp0");
}
END_TEST

/* It hears no signal that it can ignore, nor that the other end went. */
START_TEST(does_not_end)
{
	time_t before;

	helper("trap '' TERM HUP INT; printf x >&0; exec sleep 30");
	ck_assert_int_eq(nic_open(&nic, &mon, "user"), CTL_OK);
	before = time(NULL);
	nic_close(&nic);
	ck_assert_int_lt(time(NULL) - before, 10);
	ck_assert_int_eq(kill(nic.helper, 0), -1);
}
END_TEST

/* While the VM runs that is told; at its end it is as it should be. */
START_TEST(ends)
{
	bool early = _i == 0, seen = false;
	int i;

	helper(early ? "printf x >&0" : "printf x >&0; exec sleep 30");
	ck_assert_int_eq(nic_open(&nic, &mon, "user"), CTL_OK);
	nic_init(&nic, 0);
	ck_assert_int_eq(nic_start(&nic), 0);
	if (!early) {
		pthread_mutex_lock(&mon.lock);
		mon.state = MON_END;
		pthread_mutex_unlock(&mon.lock);
		nic_close(&nic);
	}
	for (i = 0; i < (early ? 1000 : 50) && !seen; i++) {
		usleep(10000);
		pthread_mutex_lock(&mon.lock);
		seen = strstr(unit_log, "net 0: vmctl-slirp has gone; no frame "
		    "comes until the VM is started anew") != NULL;
		pthread_mutex_unlock(&mon.lock);
	}
	ck_assert_int_eq(seen, early);
	nic_close(&nic);
}
END_TEST

int
main(void)
{
	TCase *tc = unit_case("net", setup);

	tcase_add_unchecked_fixture(tc, make_dir, remove_dir);
	tcase_add_test(tc, none);
	tcase_add_test(tc, does_not_start);
	tcase_add_test(tc, does_not_end);
	tcase_add_loop_test(tc, ends, 0, 2);
	return (unit_end());
}
