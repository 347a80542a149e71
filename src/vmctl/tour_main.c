/* SPDX-License-Identifier: ISC */
/*
 * tour_main.c - the table that `vmctl tour' prints, 80 columns wide.
 */
#include <cpuid.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tour.h"

/* The CPU's name for itself: CPUID 0x80000002 to 0x80000004. */
static const char *
cpu_name(char name[49])
{
	uint32_t r[12];
	unsigned int i;

	if (__get_cpuid_max(0x80000000, NULL) < 0x80000004)
		return ("a CPU without a name");
	for (i = 0; i < 3; i++)
		__cpuid(0x80000002 + i, r[i * 4], r[i * 4 + 1], r[i * 4 + 2],
		    r[i * 4 + 3]);
	memcpy(name, r, 48);
	name[48] = '\0';
	return (name + strspn(name, " "));
}

/* "7b IO x4, 78 HLT x1" */
static void
list_exits(const struct tour *t, char *buf, size_t len)
{
	static const char *const names[CLIENT_OTHER + 1] = {
		"IO", "HLT", "SHUTDOWN", "PROTECT", "WINDOW", "NONE",
		"TERMINATED", "OTHER",
	};
	size_t i, used = 0;

	buf[0] = '\0';
	for (i = 0; i <= CLIENT_OTHER && used < len; i++)
		if (t->exits[i] != 0)
			used += snprintf(buf + used, len - used, "%s%x %s x%u",
			    used == 0 ? "" : ", ", t->reasons[i], names[i],
			    t->exits[i]);
}

/* One ioctl: two lines. Returns whether it did what it should. */
static bool
do_row(struct tour *t, const struct tour_row *row, uint32_t nonce)
{
	char exits[64], got[16] = "-", num[32];
	const char *why;

	memset(t->exits, 0, sizeof(t->exits));
	t->row = row;
	t->nonce = nonce;
	t->has_got = t->failed = false;
	t->nvals = 0;
	t->did[0] = '\0';
	why = row->fn(t);
	if (why == NULL && t->has_got && t->got != nonce)
		why = "the guest handed back another nonce";
	if (t->has_got)
		snprintf(got, sizeof(got), "%08x", t->got);
	printf("%2d %-13s %-40s %11s %8s\n", row->nr, row->name, row->asked,
	    why == NULL ? show_commas(t->ticks, num) : "FAILED", got);
	list_exits(t, exits, sizeof(exits));
	if (why == NULL)
		why = t->did;
	else
		t->failed = true;
	printf("%17s%s%*s\n", "", why, exits[0] == '\0' ? 0 :
	    61 - (int)strlen(why), exits);
	/* Start the next row with a new VM: this one may be unusable. */
	if (t->failed)
		client_destroy(&t->v);
	return (!t->failed);
}

/* What the figures are: exits in the driver, and to the client. */
static bool
do_figures(struct tour *t)
{
	static const char *const what[] = {
		"CPUID, handled in the driver",
		"OUT, to the client and back",
	};
	char num[32];
	const char *why;
	uint64_t ticks;
	int out;

	printf("\n%-57s %11s\n", "each of 1,000 exits of a real-mode guest",
	    "ticks");
	for (out = 0; out <= 1; out++) {
		t->nvals = 0;
		why = tour_cost(t, out, &ticks);
		printf("   %-54s %11s\n", what[out],
		    why == NULL ? show_commas(ticks, num) : why);
		if (why != NULL)
			return (false);
	}
	printf("%-57s %11s\n", "TSC at the first RUN",
	    show_commas(t->first_run, num));
	printf("%-57s %11s\n", "microseconds on the host's clock then",
	    show_commas(t->first_ns / 1000, num));
	return (true);
}

/* Who is below, and what the columns mean. */
static void
banner(void)
{
	char name[49];

	printf("vmm tour: the eleven ioctls of /dev/vmm, with a guest for "
	    "each\n\n");
	printf("CPU    %s, %s\n", cpu_name(name), client_is_svm() ?
	    "AMD SVM with nested paging" : "Intel VMX with EPT");
	printf("ticks  of the TSC, for that ioctl alone; %s\n",
	    client_ticks_are_instructions() ? "here one is one instruction" :
	    "here they are time, not instructions");
	printf("nonce  the guest found it in its memory and handed it back\n");
	printf("\nnr %-13s %-40s %11s %8s\n", "ioctl",
	    "asked; what the CPU did, exits to vmctl", "ticks", "nonce");
}

/*
 * tour [-n NONCE]: the row of ioctl number i gives its guest NONCE + i.
 * Returns CTL_FAIL unless all eleven did what they should.
 */
int
tour_main(int argc, char **argv)
{
	static struct tour t;
	uint32_t nonce = client_tsc() * 0x9e3779b1;
	bool figures;
	char *end;
	int i, ok = 0;

	if (argc == 3 && strcmp(argv[1], "-n") == 0) {
		nonce = strtoul(argv[2], &end, 16);
		if (*argv[2] == '\0' || *end != '\0')
			return (ctl_error(CTL_USAGE, "tour: `%s' is no nonce; "
			    "up to eight hex digits", argv[2]));
	} else if (argc != 1)
		return (ctl_error(CTL_USAGE, "tour: takes nothing, or -n "
		    "NONCE"));
	t.fd = ctl_open();
	if (t.fd == -1)
		return (CTL_FAIL);
	banner();
	for (i = 0; i < TOUR_ROWS; i++)
		ok += do_row(&t, &tour_rows[i], nonce + tour_rows[i].nr);
	client_destroy(&t.v);
	figures = do_figures(&t);
	client_destroy(&t.v);
	close(t.fd);
	printf("\n%d ioctls, %d ok\n", TOUR_ROWS, ok);
	return (ok == TOUR_ROWS && figures ? CTL_OK : CTL_FAIL);
}
