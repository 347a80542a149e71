/* SPDX-License-Identifier: ISC */
/*
 * proof.c - what was counted, what had to be, and what is left. Leaks are
 * looked for with the host's own counters, never with the driver's.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stress.h"

#define METAL		"/proc/metal"
#define RETRY_MS	20
#define RETRIES		250		/* 5 s: an exit ends in its own time */
#define SLACK_KIB	(64 * 1024)	/* caches that the kernel keeps */

/*
 * Every errno that the driver promises and a client can provoke at will. It
 * cannot: EBUSY and EIO of CREATE (another hypervisor on a CPU, or a CPU that
 * refuses), ENOMEM of RUN, INFO, WRITEVMPARAMS and MPROTECT_EPT (the host has
 * no page left). PERM is asked for only where there is another user.
 */
static const unsigned int provoked[NIOCS] = {
	[CREATE] = OK | FAULT | INVAL | NOMEM | NOTTY,
	[RUN] = OK | NOENT | PERM | BUSY | FAULT | INVAL | IO | NOTTY,
	[INFO] = OK | FAULT | NOTTY,
	[TERM] = OK | NOENT | PERM | FAULT | NOTTY,
	[RESETCPU] = OK | NOENT | PERM | BUSY | FAULT | IO | NOTTY,
	[INTR] = OK | NOENT | PERM | FAULT | NOTTY,
	[READREGS] = OK | NOENT | PERM | BUSY | FAULT | NOTTY,
	[WRITEREGS] = OK | NOENT | PERM | BUSY | FAULT | INVAL | NOTTY,
	[READVMPARAMS] = OK | NOENT | PERM | FAULT | NOTTY,
	[WRITEVMPARAMS] = OK | NOENT | PERM | FAULT | INVAL | NOTTY,
	[MPROTECT] = OK | NOENT | PERM | BUSY | FAULT | INVAL | NOTTY,
};

/* --- Counts --- */

void
tally_add(struct tally *sum, const struct tally *t)
{
	const uint64_t *from = (const void *)t;
	uint64_t *to = (void *)sum;
	size_t i;

	for (i = 0; i < sizeof(*t) / sizeof(*from); i++)
		to[i] += from[i];
}

void
tally_report(const struct tally *t)
{
	static const char *const event_name[CLIENT_OTHER + 1] = {
		"IO", "HLT", "SHUTDOWN", "PROTECT", "WINDOW", "NONE",
		"TERMINATED", "OTHER",
	};
	int i, k;

	for (i = 1; i < NIOCS; i++) {
		printf("ioctl %s", ioc_name[i]);
		for (k = 0; k < NERRNOS; k++)
			if (t->answers[i][k] != 0)
				printf(" %s %lu", errno_name[k],
				    t->answers[i][k]);
		printf("\n");
	}
	for (i = 0; i <= CLIENT_OTHER; i++)
		printf("exit %s %lu\n", event_name[i], t->exits[i]);
	printf("entries %lu\n", t->entries);
	printf("ioctls on a running VCPU %lu\n", t->running);
	printf("VMs ended inside RUN %lu\n", t->cut);
	printf("VMs ended by close() %lu\n", t->closed);
}

/* At least `per_million` for each million operations. */
static void
check_least(struct worker *w, const char *what, uint64_t got, uint64_t ops,
    uint64_t per_million)
{
	uint64_t least = ops * per_million / 1000000;

	if (got < least)
		fail(w, "%s: %lu, and %lu are the least", what, got, least);
}

void
tally_check(struct worker *w, const struct tally *t, uint64_t ops,
    bool strangers)
{
	unsigned int want;
	int i, k;

	check_least(w, "entries", t->entries, ops, 100000);
	check_least(w, "ioctls on a running VCPU", t->running, ops, 10000);
	check_least(w, "VMs ended inside RUN", t->cut, ops, 1000);
	if (!strangers)
		printf("not checked: EPERM, there is no other user\n");
	if (ops < 100000)
		printf("not checked: that every errno occurs, in so few "
		    "operations\n");
	for (i = 1; i < NIOCS && ops >= 100000; i++) {
		want = provoked[i] & ~(strangers ? 0U : (unsigned int)PERM);
		for (k = 0; k < NERRNOS; k++)
			if ((want >> k & 1) != 0 && t->answers[i][k] == 0)
				fail(w, "%s never gave %s", ioc_name[i],
				    errno_name[k]);
	}
}

/* --- The host --- */

/* What must be the same afterwards. Kernels lack some of it. */
static const struct {
	const char	*file, *name;
	const char	*minus;		/* name of what is subtracted */
	bool		 slack;		/* may fall by SLACK_KIB */
} counters[] = {
	{ METAL, "free_pages", NULL, false },
	{ "/proc/vmstat", "nr_foll_pin_acquired", "nr_foll_pin_released",
	    false },
	{ "/proc/self/status", "VmLck", NULL, false },
	{ "/proc/self/status", "VmPin", NULL, false },
	{ "/proc/meminfo", "MemAvailable", NULL, true },
};
static long before[NELEM(counters)];
static long pinned = -1;		/* pages, ever; -1: not counted */

/* The beginning of a file as a string. Returns: bytes, -1: there is none. */
static long
file_read(const char *path, char *buf, size_t size)
{
	long n, len = 0;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return (-1);
	while ((n = read(fd, buf + len, size - 1 - (size_t)len)) > 0)
		len += n;
	close(fd);
	buf[len] = '\0';
	return (len);
}

/* Whether this is the metal host, which has one CPU and one user. */
bool
host_is_metal(void)
{
	char buf[2];

	return (file_read(METAL, buf, sizeof(buf)) != -1);
}

/* The number behind a name that nothing else contains; -1: not there. */
static long
number_after(const char *text, const char *name)
{
	const char *p = strstr(text, name);

	if (p == NULL)
		return (-1);
	p += strlen(name);
	return (strtol(p + strspn(p, ": \t"), NULL, 10));
}

/* The i-th counter now; -1: this host has no such. */
static long
counter(size_t i)
{
	static char buf[64 * 1024];
	long n, m = 0;

	if (on_metal != (strcmp(counters[i].file, METAL) == 0))
		return (-1);
	/* Counts of single CPUs are folded into the sum by this read. */
	if (counters[i].minus != NULL)
		(void)file_read("/proc/sys/vm/stat_refresh", buf, sizeof(buf));
	if (file_read(counters[i].file, buf, sizeof(buf)) == -1)
		return (-1);
	n = number_after(buf, counters[i].name);
	if (n != -1 && counters[i].minus != NULL) {
		m = number_after(buf, counters[i].minus);
		pinned = n;
	}
	return (n == -1 || m == -1 ? -1 : n - m);
}

void
host_before(void)
{
	size_t i;

	for (i = 0; i < NELEM(counters); i++) {
		before[i] = counter(i);
		if (before[i] == -1 &&
		    on_metal == (strcmp(counters[i].file, METAL) == 0))
			printf("not checked: %s %s\n", counters[i].file,
			    counters[i].name);
	}
}

/* Waits for a counter to be what it was: what was freed may come later. */
static void
check_counter(struct worker *w, size_t i, bool tell)
{
	long now = 0, least = before[i];
	int tries;

	if (before[i] == -1)
		return;
	if (counters[i].slack)
		least -= SLACK_KIB;
	for (tries = 0; tries < RETRIES; tries++) {
		now = counter(i);
		if (counters[i].slack || on_metal ? now >= least :
		    now == before[i])
			break;
		pause_ms(RETRY_MS);
	}
	if (tell || tries == RETRIES)
		printf("left: %s %s%s was %ld, is %ld\n", counters[i].file,
		    counters[i].name, counters[i].minus != NULL ?
		    ", not released," : "", before[i], now);
	if (tries == RETRIES)
		fail(w, "leak: %s", counters[i].name);
}

/* The driver's own view, which is not there on every host. */
static void
check_debugfs(struct worker *w, bool tell)
{
	char buf[256];
	long n;

	if (on_metal)
		return;
	n = file_read("/sys/kernel/debug/vmm/vms", buf, sizeof(buf));
	if (n == -1 && tell)
		printf("not checked: /sys/kernel/debug/vmm/vms\n");
	else if (n > 0)
		fail(w, "/sys/kernel/debug/vmm/vms lists a VM: %s", buf);
}

void
host_after(struct worker *w, bool tell)
{
	long pinned_before = pinned;
	size_t i;

	for (i = 0; i < NELEM(counters); i++)
		check_counter(w, i, tell);
	if (!on_metal && pinned == pinned_before && pinned != -1)
		fail(w, "no page was pinned: what was counted is something "
		    "else");
	check_debugfs(w, tell);
	fflush(stdout);
}

void
proof_none(struct worker *w)
{
	size_t n;
	int tries;

	for (tries = 0; (n = info(w)) != 0; tries++) {
		if (tries == RETRIES)
			fail(w, "INFO lists %zu VMs", n);
		pause_ms(RETRY_MS);
	}
}
