/* SPDX-License-Identifier: ISC */
/*
 * view.c - what the driver tells of all VMs, from the host's files for
 * debuggers: dump, trace, explain.
 *
 * A view is lines "NAME VALUE". "vm" and "vcpu" begin what is of one VCPU,
 * "exit" and "ioctl" a record of its trace.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "vmctl.h"

#define RUN	2		/* the number of that ioctl */
#ifndef VIEWS		/* a test has its own */
#define VIEWS	"/sys/kernel/debug/vmm/"
#endif

/*
 * The text of a view. The host makes it anew at each read(), so it is whole
 * only if one read() has room for all of it. Returns it, to be freed; or
 * NULL, and has told unless it should be quiet.
 */
static char *
view_read(const char *name, bool quiet)
{
	size_t room = 64 * 1024;
	char path[64], *text = NULL;
	ssize_t n = 0;
	int error, fd;

	snprintf(path, sizeof(path), VIEWS "%s", name);
	do {
		free(text);
		room *= 4;
		text = malloc(room);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		n = text == NULL || fd == -1 ? -1 : read(fd, text, room);
		error = errno;
		if (fd != -1)
			close(fd);
	} while (n == (ssize_t)room);
	if (n >= 0) {
		text[n] = '\0';
		return (text);
	}
	free(text);
	if (!quiet)
		ctl_error(CTL_FAIL, "%s: %s; %s", path, strerror(error),
		    error == EACCES ? "run vmctl as root" :
		    "load the driver; on Linux mount debugfs there");
	return (NULL);
}

/* Cuts the next line of a view into name and value. False: the end. */
static bool
view_next(char **text, char **name, char **value)
{
	char *line = strsep(text, "\n");

	if (line == NULL || *line == '\0')
		return (false);
	*name = strsep(&line, " ");
	*value = line != NULL ? line : *name + strlen(*name);
	return (true);
}

/*
 * What the CPU keeps of each VCPU that does not run; with names, only those
 * fields.
 */
int
cmd_dump(struct ctl *ctl, int argc, char **argv)
{
	char *text = view_read("vcpus", false), *rest = text, *name, *value;
	bool any = false, named = argc < 2, wanted;
	int i;

	(void)ctl;
	if (text == NULL)
		return (CTL_FAIL);
	for (; view_next(&rest, &name, &value); any = true) {
		for (i = 1; i < argc && strcasecmp(argv[i], name) != 0; i++)
			continue;
		wanted = i < argc;
		named = named || wanted;
		if (argc < 2 || wanted || strcmp(name, "vm") == 0 ||
		    strcmp(name, "vcpu") == 0)
			printf("%s %s\n", name, value);
	}
	free(text);
	if (!any)
		printf("no VM\n");
	else if (!named)
		return (ctl_error(CTL_USAGE, "dump: no field `%s'; `dump' "
		    "alone lists them", argv[1]));
	return (CTL_OK);
}

/* --- explain --- */

/*
 * The rule that the entry of a VCPU broke; `vm` 0: of all. Returns how many
 * there are, or -1: they cannot be read, which is told for all.
 */
int
view_explain(uint32_t vm, uint32_t vcpu)
{
	char *text = view_read("explain", vm != 0), *rest = text, *name, *value;
	unsigned long id = 0, cpu = 0;
	int n = 0;

	if (text == NULL)
		return (-1);
	while (view_next(&rest, &name, &value)) {
		if (strcmp(name, "vm") == 0)
			id = strtoul(value, NULL, 0);
		else if (strcmp(name, "vcpu") == 0)
			cpu = strtoul(value, NULL, 0);
		else if (vm != 0 && (id != vm || cpu != vcpu))
			continue;
		else if (strcmp(name, "rule") == 0) {
			printf("VM %lu VCPU %lu is refused by rule %s\n", id,
			    cpu, value);
			n++;
		} else
			printf("  %-8s %s\n", name, value);
	}
	free(text);
	return (n);
}

/* Why the CPU refused an entry, or would have, of all VCPUs. */
int
cmd_explain(struct ctl *ctl, int argc, char **argv)
{
	int n = view_explain(0, 0);

	(void)ctl;
	(void)argc;
	(void)argv;
	if (n == 0)
		printf("no entry was refused\n");
	return (n == -1 ? CTL_FAIL : CTL_OK);
}

/* --- trace --- */

/* A record, and whose it is. */
struct record {
	bool		 exit;		/* or a request */
	char		 kind[16];	/* of the exit */
	unsigned long long nr;
	unsigned long long code;	/* or the ioctl's number */
	unsigned long long info1, info2, entry_rip, exit_rip, error;
	unsigned long long begin, end;	/* TSC */
};

/* Records of a VCPU, the oldest first. */
struct ring {
	unsigned int	 vm, vcpu;
	struct record	*r;
	size_t		 n;
};

static const struct {
	const char	*name;
	size_t		 offset;
} fields[] = {
#define FIELD(name, member)	{ name, offsetof(struct record, member) }
	FIELD("nr", code), FIELD("code", code), FIELD("errno", error),
	FIELD("info1", info1), FIELD("info2", info2),
	FIELD("entry_rip", entry_rip), FIELD("exit_rip", exit_rip),
	FIELD("begin", begin), FIELD("end", end),
};
#define NFIELDS	(sizeof(fields) / sizeof(fields[0]))

/* One line of the view into the record that it is of. */
static void
take_field(struct record *r, const char *name, const char *value)
{
	size_t i;

	if (strcmp(name, "kind") == 0)
		snprintf(r->kind, sizeof(r->kind), "%s", value);
	for (i = 0; i < NFIELDS; i++)
		if (strcmp(name, fields[i].name) == 0)
			*(unsigned long long *)((char *)r + fields[i].offset) =
			    strtoull(value, NULL, 0);
}

/* One more of an array that grows. Returns it, zeroed; NULL: no memory. */
static void *
more(void **array, size_t *n, size_t size)
{
	void *p = realloc(*array, (*n + 1) * size);

	if (p == NULL)
		return (NULL);
	*array = p;
	return (memset((char *)p + (*n)++ * size, 0, size));
}

/* The view as rings. Returns false if memory ends before it. */
static bool
parse_trace(char *text, struct ring **rings, size_t *n)
{
	struct ring *ring = NULL;
	struct record *r = NULL;
	char *name, *value;
	unsigned int vm = 0;

	while (view_next(&text, &name, &value)) {
		if (strcmp(name, "vm") == 0) {
			vm = strtoul(value, NULL, 0);
		} else if (strcmp(name, "vcpu") == 0) {
			ring = more((void **)rings, n, sizeof(*ring));
			if (ring == NULL)
				return (false);
			ring->vm = vm;
			ring->vcpu = strtoul(value, NULL, 0);
		} else if (ring != NULL && (strcmp(name, "exit") == 0 ||
		    strcmp(name, "ioctl") == 0)) {
			r = more((void **)&ring->r, &ring->n, sizeof(*r));
			if (r == NULL)
				return (false);
			r->exit = *name == 'e';
			r->nr = strtoull(value, NULL, 0);
		} else if (r != NULL)
			take_field(r, name, value);
	}
	return (true);
}

/* The manuals' words for exit codes, short. */
struct code_word {
	uint32_t	 code;
	const char	*name;
};
static const struct code_word svm_codes[] = {
	{ 0x52, "#MC" }, { 0x60, "INTR" }, { 0x61, "NMI" }, { 0x64, "VINTR" },
	{ 0x65, "CR0_SEL_WRITE" }, { 0x6f, "RDPMC" }, { 0x72, "CPUID" },
	{ 0x76, "INVD" }, { 0x78, "HLT" }, { 0x7b, "IOIO" }, { 0x7c, "MSR" },
	{ 0x7f, "SHUTDOWN" }, { 0x81, "VMMCALL" }, { 0x89, "WBINVD" },
	{ 0x8d, "XSETBV" }, { 0x400, "NPF" }, { 0xffffffff, "INVALID" },
	{ 0, NULL },
};
static const struct code_word vmx_codes[] = {
	{ 0, "exception, NMI" }, { 1, "interrupt" }, { 2, "triple fault" },
	{ 7, "window" }, { 9, "task switch" }, { 10, "CPUID" }, { 12, "HLT" },
	{ 13, "INVD" }, { 15, "RDPMC" }, { 18, "VMCALL" }, { 28, "CR" },
	{ 29, "DR" }, { 30, "I/O" }, { 31, "RDMSR" }, { 32, "WRMSR" },
	{ 48, "EPT" }, { 49, "EPT misconfig" }, { 52, "timer" },
	{ 54, "WBINVD" }, { 55, "XSETBV" }, { 0x80000000, "VMfail" },
	{ 0x80000021, "guest state" }, { 0, NULL },
};

static const char *
code_name(uint64_t code)
{
	const struct code_word *p = client_is_svm() ? svm_codes : vmx_codes;

	for (; p->name != NULL; p++)
		if (p->code == code)
			return (p->name);
	return ("");
}

/* What info1 and info2 say where that is worth a line. */
static void
describe(const struct record *r, char *buf, size_t len)
{
	bool svm = client_is_svm(), in, string;
	uint64_t i = r->info1;
	unsigned int size;

	buf[0] = '\0';
	if (strcmp(r->kind, "IO") == 0) {
		in = (i & (svm ? 0x1 : 0x8)) != 0;
		string = (i & (svm ? 0x4 : 0x10)) != 0;
		size = svm ? i >> 4 & 7 : (i & 7) + 1;
		snprintf(buf, len, "%s%s%s.%u %04x",
		    i & (svm ? 0x8 : 0x20) ? "REP " : "", in ? "IN" : "OUT",
		    string ? "S" : "", size, (unsigned int)(i >> 16 & 0xffff));
	} else if (strcmp(r->kind, "NPF") == 0) {
		snprintf(buf, len, "%c %llx", i & (svm ? 0x10 : 0x4) ? 'X' :
		    i & 0x2 ? 'W' : 'R', r->info2);
	} else if (svm && r->code < 0x40) {
		snprintf(buf, len, "%s %cR%u", r->code & 0x10 ? "to" : "from",
		    r->code < 0x20 ? 'C' : 'D', (unsigned int)r->code & 0xf);
	} else if (!svm && r->code == 28) {
		snprintf(buf, len, "%s CR%u", (i >> 4 & 3) == 0 ? "to" :
		    (i >> 4 & 3) == 1 ? "from" : (i >> 4 & 3) == 2 ? "CLTS" :
		    "LMSW", (unsigned int)i & 0xf);
	} else if (!svm && r->code == 29) {
		snprintf(buf, len, "%s DR%u", i & 0x10 ? "from" : "to",
		    (unsigned int)i & 7);
	} else if (svm && r->code >= 0x40 && r->code < 0x60) {
		snprintf(buf, len, "exception %u", (unsigned int)r->code & 31);
	}
}

/* The name of a request; "?" if there is none of that number. */
static const char *
ioctl_name(uint64_t nr)
{
	static const char *const names[] = {
		"?", "CREATE", "RUN", "INFO", "TERM", "RESETCPU", "INTR",
		"READREGS", "WRITEREGS", "READVMPARAMS", "WRITEVMPARAMS",
		"MPROTECT_EPT",
	};

	return (names[nr < sizeof(names) / sizeof(names[0]) ? nr : 0]);
}

/* A ring as a table, a record a line. */
static void
print_ring(const struct ring *ring)
{
	const struct record *r;
	uint64_t last;
	char what[64];

	printf("VM %u VCPU %u\n", ring->vm, ring->vcpu);
	if (ring->n == 0) {
		printf("  nothing has happened to it\n");
		return;
	}
	printf("   nr   since where    ticks what        rip in  rip out  "
	    "code\n");
	last = ring->r[0].end;
	for (r = ring->r; r < ring->r + ring->n; r++) {
		printf("%5llu %7llu %-6s %7llu ", r->nr,
		    (r->end > last ? r->end - last : 0),
		    r->exit ? "guest" : "driver",
		    (r->end - r->begin));
		last = r->end;
		describe(r, what, sizeof(what));
		if (r->exit)
			printf("%-9s %8llx %8llx  %llx %s%s%s\n", r->kind,
			    r->entry_rip,
			    r->exit_rip,
			    r->code, code_name(r->code),
			    what[0] == '\0' ? "" : " ", what);
		else
			printf("%s%s%s\n", ioctl_name(r->code),
			    r->error == 0 ? "" : ": ",
			    r->error == 0 ? "" : strerror(r->error));
	}
}

/*
 * --- The same for a trace viewer: the Trace Event Format's JSON. A VM is a
 * process, a VCPU three threads of it, which are where it was: in the host,
 * in the driver, in the guest. Slices of one thread do not overlap, and those
 * of the guest lie in those of the driver. ---
 */

/* Nanoseconds from ticks of the TSC. */
static struct {
	uint64_t	zero;		/* the first tick shown */
	double		per_ns;		/* ticks a nanosecond */
	bool		any;		/* an event was printed */
} scale;

/* An instruction is a nanosecond, where the TSC counts them. */
static void
set_scale(const struct ring *rings, size_t n)
{
	struct timespec a, b;
	uint64_t tick, ns = 0;
	size_t i, j;

	scale.any = false;
	scale.zero = UINT64_MAX;
	for (i = 0; i < n; i++)
		for (j = 0; j < rings[i].n; j++)
			if (rings[i].r[j].begin < scale.zero)
				scale.zero = rings[i].r[j].begin;
	scale.per_ns = 1;
	if (client_ticks_are_instructions())
		return;
	clock_gettime(CLOCK_MONOTONIC, &a);
	tick = client_tsc();
	while (ns < 20000000) {
		clock_gettime(CLOCK_MONOTONIC, &b);
		ns = (b.tv_sec - a.tv_sec) * 1000000000ULL + b.tv_nsec -
		    a.tv_nsec;
	}
	scale.per_ns = (double)(client_tsc() - tick) / ns;
}

/* Whole nanoseconds, so that what nests in ticks nests here. */
static uint64_t
ns_of(uint64_t tick)
{
	return ((tick - scale.zero) / scale.per_ns);
}

/* A JSON string; bytes that are not ASCII are taken for Latin-1. */
static void
json_string(const char *s)
{
	const unsigned char *p;

	putchar('"');
	for (p = (const unsigned char *)s; *p != '\0'; p++)
		if (*p < ' ' || *p > '~' || *p == '"' || *p == '\\')
			printf("\\u%04x", *p);
		else
			putchar(*p);
	putchar('"');
}

/* What one event begins with. */
enum track { HOST, DRIVER, GUEST, NTRACKS };

static void
json_event(const struct ring *ring, enum track track, const char *ph,
    const char *name)
{
	printf("%s{\"ph\":\"%s\",\"pid\":%u,\"tid\":%u,\"name\":",
	    scale.any ? ",\n" : "", ph, ring->vm,
	    ring->vcpu * NTRACKS + track + 1);
	scale.any = true;
	json_string(name);
}

/* A time, in microseconds. */
static void
json_time(const char *before, uint64_t ns)
{
	printf("%s%llu.%03llu", before, ns / 1000ULL, ns % 1000ULL);
}

/* What lasts; `fmt` is how it goes on, to its end. */
static void __attribute__((format(printf, 6, 7)))
json_slice(const struct ring *ring, enum track track, const char *name,
    uint64_t begin, uint64_t end, const char *fmt, ...)
{
	va_list ap;

	json_event(ring, track, "X", name);
	json_time(",\"ts\":", ns_of(begin));
	json_time(",\"dur\":", ns_of(end) - ns_of(begin));
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
}

/* What has the driver's track for a while. */
struct span {
	unsigned long long	 begin, end;
	const struct record	*r;	/* NULL: a RUN that has not ended */
	bool			 run;	/* there are exits in it */
};

static int
by_begin(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	return (x->begin < y->begin ? -1 : x->begin > y->begin);
}

/* The requests of a ring, by their begin. A RUN comes after its exits. */
static size_t
find_spans(const struct ring *ring, struct span *s)
{
	const struct record *r, *first = NULL, *last = NULL;
	size_t n = 0;
	bool run;

	for (r = ring->r; r < ring->r + ring->n; r++) {
		if (r->exit) {
			first = first == NULL ? r : first;
			last = r;
			continue;
		}
		run = first != NULL && r->code == RUN && r->error != EBUSY;
		s[n++] = (struct span){ run && first->begin < r->begin ?
		    first->begin : r->begin, r->end, r, run };
		first = run ? NULL : first;
	}
	if (first != NULL)
		s[n++] = (struct span){ first->begin, last->end, NULL, true };
	qsort(s, n, sizeof(*s), by_begin);
	return (n);
}

/* A request, and the host before it. */
static void
json_request(const struct ring *ring, const struct span *s, uint64_t *last)
{
	if (*last != 0)
		json_slice(ring, HOST, "client", *last, s->begin, "}");
	*last = s->end;
	json_slice(ring, DRIVER, s->r == NULL ? "RUN, not over" :
	    ioctl_name(s->r->code), s->begin, s->end, ",\"args\":"
	    "{\"nr\":%llu,\"ticks\":%llu,\"errno\":%llu}}",
	    s->r == NULL ? 0 : s->r->nr, s->end - s->begin,
	    s->r == NULL ? 0 : s->r->error);
}

/*
 * Those that another thread made meanwhile have no slice, but a mark where
 * they ended. RUNs that overlap are one.
 */
static void
json_requests(const struct ring *ring)
{
	struct span *s = calloc(ring->n + 1, sizeof(*s)), *mark;
	size_t n = s == NULL ? 0 : find_spans(ring, s), i, cur = 0;
	uint64_t last = 0;

	for (i = 1; i < n; i++) {
		if (s[i].begin >= s[cur].end) {
			json_request(ring, &s[cur], &last);
			cur = i;
			continue;
		}
		if (s[i].run && s[cur].run) {
			if (s[i].end > s[cur].end)
				s[cur].end = s[i].end;
			continue;
		}
		mark = s[i].run ? &s[cur] : &s[i];
		json_event(ring, DRIVER, "i", ioctl_name(mark->r->code));
		json_time(",\"s\":\"t\",\"ts\":", ns_of(mark->end));
		putchar('}');
		cur = s[i].run ? i : cur;
	}
	if (n > 0)
		json_request(ring, &s[cur], &last);
	free(s);
}

/* Names of the tracks, then what is on them. */
static void
json_ring(const struct ring *ring, const char *name)
{
	static const char *const tracks[] = { "host", "driver", "guest" };
	const struct record *r;
	char text[64];
	int i;

	snprintf(text, sizeof(text), "VM %u %s", ring->vm, name);
	json_event(ring, HOST, "M", "process_name");
	printf(",\"args\":{\"name\":");
	json_string(text);
	printf("}}");
	for (i = 0; i < NTRACKS; i++) {
		json_event(ring, i, "M", "thread_name");
		printf(",\"args\":{\"name\":\"vcpu %u: %s\"}}", ring->vcpu,
		    tracks[i]);
		json_event(ring, i, "M", "thread_sort_index");
		printf(",\"args\":{\"sort_index\":%u}}",
		    ring->vcpu * NTRACKS + i);
	}
	json_requests(ring);
	for (r = ring->r; r < ring->r + ring->n; r++) {
		if (!r->exit)
			continue;
		json_slice(ring, GUEST, r->kind, r->begin, r->end, ",\"args\":"
		    "{\"nr\":%llu,\"ticks\":%llu,\"code\":\"0x%llx\","
		    "\"info1\":\"0x%llx\",\"info2\":\"0x%llx\","
		    "\"entry_rip\":\"0x%llx\",\"exit_rip\":\"0x%llx\","
		    "\"what\":", r->nr, r->end - r->begin, r->code, r->info1,
		    r->info2, r->entry_rip, r->exit_rip);
		describe(r, text, sizeof(text));
		json_string(text);
		printf("}}");
	}
}

/* The name of a VM, if INFO tells; else "". */
static const char *
vm_name(struct ctl *ctl, uint32_t id)
{
	static struct vm_info_result rows[64];
	struct vm_info_params vip = { .vip_info = rows };
	size_t i;

	vip.vip_size = sizeof(rows);
	if (ctl->fd == -1)
		ctl->fd = client_open();
	if (ctl->fd == -1 || client_ioc_info(ctl->fd, &vip) != 0)
		return ("");
	for (i = 0; i < vip.vip_info_ct; i++)
		if (rows[i].vir_id == id)
			return (rows[i].vir_name);
	return ("");
}

/* All rings; the last `n` records of each, those of VM `first` first. */
static void
show_rings(struct ctl *ctl, struct ring *rings, size_t nrings, uint64_t n,
    uint32_t first, bool json)
{
	size_t i;
	int turn;

	for (i = 0; i < nrings; i++)
		if (rings[i].n > n) {
			memmove(rings[i].r, rings[i].r + rings[i].n - n,
			    n * sizeof(*rings[i].r));
			rings[i].n = n;
		}
	if (json) {
		set_scale(rings, nrings);
		printf("{\"displayTimeUnit\":\"ns\",\"otherData\":"
		    "{\"ticks_per_ns\":\"%.6f\"},\"traceEvents\":[\n",
		    scale.per_ns);
	}
	for (turn = 0; turn < 2; turn++)
		for (i = 0; i < nrings; i++) {
			if ((rings[i].vm == first) != (turn == 0))
				continue;
			if (json)
				json_ring(&rings[i], vm_name(ctl,
				    rings[i].vm));
			else
				print_ring(&rings[i]);
		}
	if (json)
		printf("\n]}\n");
	else if (nrings == 0)
		printf("no VM\n");
}

/* What happened last to each VCPU; those of the current VM come first. */
int
cmd_trace(struct ctl *ctl, int argc, char **argv)
{
	uint64_t n = UINT32_MAX;
	struct ring *rings = NULL;
	bool json = false, complete;
	size_t nrings = 0;
	char *text;
	int i;

	for (i = 1; i < argc; i++)
		if (strcmp(argv[i], "--json") == 0)
			json = true;
		else if (argv[i][0] == '-')
			return (ctl_error(CTL_USAGE, "trace: no option `%s'; "
			    "--json, and how many records", argv[i]));
		else if (!ctl_number(argc, argv, i, UINT32_MAX, &n))
			return (CTL_USAGE);
	if (n == 0)
		return (ctl_error(CTL_USAGE, "trace: 0 records are nothing to "
		    "show; 1 or more"));
	text = view_read("trace", false);
	if (text == NULL)
		return (CTL_FAIL);
	complete = parse_trace(text, &rings, &nrings);
	if (complete)
		show_rings(ctl, rings, nrings, n, ctl->cur == NULL ? 0 :
		    ctl->cur->v.id, json);
	while (nrings > 0)
		free(rings[--nrings].r);
	free(rings);
	free(text);
	return (complete ? CTL_OK : ctl_error(CTL_FAIL, "trace: %s; end a VM "
	    "with `term'", strerror(ENOMEM)));
}
