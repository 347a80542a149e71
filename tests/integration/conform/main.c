/* SPDX-License-Identifier: ISC */
/*
 * main.c - chooses the clauses, runs them one by one, prints TAP.
 */
#include <cpuid.h>
#include <elf.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "conform.h"

#define MAX_CLAUSES	1000
#define MAX_ONLY	1000
#define MAX_THREADS	80
#define MAX_VMS		64
#define TICK_MS		20	/* of the guard */

enum verdict { PASS, FAILED, SKIPPED };

struct thread {
	pthread_t	 id;
	bool		 joined;
	void		(*fn)(void *);
	void		*arg;
};

int conform_fd = -1;

static const struct clause *chosen[MAX_CLAUSES];
static size_t nchosen;
static const char *only[MAX_ONLY];
static size_t nonly;
static uint64_t nonce, last_fresh;
static unsigned int limit_s;	/* for a clause; of the host's clock */

/* The clause that runs now. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static enum verdict verdict;
static char notes[4096];
static size_t notes_len;
static const char *skip_why;
static struct thread threads[MAX_THREADS];
static int nthreads;
static struct client_vm vms[MAX_VMS];
static size_t nvms;
static _Thread_local jmp_buf *out;

/* For the guard: which clause, and when it must be over. */
static volatile size_t guard_index;
static volatile unsigned int guard_ticks;

/* Adds a diagnostic line to the clause's. Takes `lock`. */
void
note(const char *fmt, ...)
{
	va_list ap;
	size_t room;
	int n;

	pthread_mutex_lock(&lock);
	room = sizeof(notes) - notes_len;
	va_start(ap, fmt);
	n = vsnprintf(notes + notes_len, room, fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n + 2 < room) {
		notes_len += (size_t)n;
		notes[notes_len++] = '\n';
	}
	notes[notes_len] = '\0';
	pthread_mutex_unlock(&lock);
}

/* Ends the clause (in a spawned thread: the thread) that calls it. */
static void
leave(enum verdict v)
{
	pthread_mutex_lock(&lock);
	if (verdict != FAILED)
		verdict = v;
	pthread_mutex_unlock(&lock);
	longjmp(*out, 1);
}

void
conform_check(bool ok, const char *expr, const char *file, int line)
{
	if (ok)
		return;
	note("%s:%d: %s", file, line, expr);
	leave(FAILED);
}

void
conform_check_eq(uint64_t got, uint64_t want, const char *expr,
    const char *file, int line)
{
	if (got == want)
		return;
	note("%s:%d: %s", file, line, expr);
	note("got  0x%llx (%lld)", (unsigned long long)got, (long long)got);
	note("want 0x%llx (%lld)", (unsigned long long)want, (long long)want);
	leave(FAILED);
}

void
conform_skip(const char *why)
{
	skip_why = why;
	leave(SKIPPED);
	abort();
}

/* SplitMix64: a different number for each call and nonce, never 0. */
uint64_t
fresh(void)
{
	uint64_t z;

	last_fresh += 0x9e3779b97f4a7c15;
	z = last_fresh;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return ((z ^ (z >> 31)) | 1);
}

struct client_vm *
new_vm(size_t size, size_t ncpus)
{
	struct client_vm *v;

	CHECK(nvms < MAX_VMS);
	v = &vms[nvms];
	memset(v, 0, sizeof(*v));
	CHECK_EQ(client_create(conform_fd, "conform", size, ncpus, v), 0);
	nvms++;
	v->nonce = fresh();
	return (v);
}

struct client_vm *
new_guest(const char *name, const uint64_t *args)
{
	static const uint64_t none[8];
	struct client_vm *v;
	char path[64];
	int mode;

	snprintf(path, sizeof(path), "/guests/%s.bin", name);
	v = new_vm(4 * CLIENT_MIB, 1);
	note("guest %s", path);
	CHECK_EQ(client_load_file(v, path, args ? args : none, &mode), 0);
	CHECK_EQ(client_start(v, mode), 0);
	return (v);
}

/* A spawned thread: gives CHECK a place to leave to. */
static void *
thread_main(void *arg)
{
	struct thread *t = arg;
	jmp_buf here;

	out = &here;
	if (setjmp(here) == 0)
		t->fn(t->arg);
	return (NULL);
}

int
spawn(void (*fn)(void *), void *arg)
{
	struct thread *t;

	CHECK(nthreads < MAX_THREADS);
	t = &threads[nthreads];
	t->fn = fn;
	t->arg = arg;
	t->joined = false;
	CHECK_EQ(pthread_create(&t->id, NULL, thread_main, t), 0);
	return (nthreads++);
}

void
join(int thread)
{
	if (!threads[thread].joined)
		pthread_join(threads[thread].id, NULL);
	threads[thread].joined = true;
	CHECK(verdict != FAILED);
}

static void
on_signal(int sig)
{
	(void)sig;
}

void
poke(int thread)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_signal;
	sigaction(SIGUSR1, &sa, NULL);
	CHECK_EQ(pthread_kill(threads[thread].id, SIGUSR1), 0);
}

void
pause_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, (long)(ms % 1000) * 1000000 };

	while (nanosleep(&ts, &ts) == -1 && errno == EINTR)
		;
}

bool
under_tcg(void)
{
	unsigned int a, b, c, d;

	__cpuid(1, a, b, c, d);
	if ((c & 0x80000000) == 0)
		return (false);
	__cpuid(0x40000000, a, b, c, d);
	return (b == 0x54474354 && c == 0x43544743 && d == 0x47435447);
}

/* The number behind a word of a file in /proc; false: no such file. */
static bool
proc_number(const char *path, const char *word, uint64_t *n)
{
	static char buf[16384];
	size_t len = 0;
	ssize_t got;
	char *p;
	int fd;

	fd = open(path, O_RDONLY);
	if (fd == -1)
		return (false);
	while ((got = read(fd, buf + len, sizeof(buf) - 1 - len)) > 0)
		len += (size_t)got;
	close(fd);
	buf[len] = '\0';
	p = strstr(buf, word);
	if (p == NULL)
		return (false);
	*n = strtoull(p + strlen(word), NULL, 0);
	return (true);
}

/*
 * metal counts its free pages; of Linux, whose other work never rests, it is
 * the pages that are not pinned, once each CPU has told its share.
 */
bool
host_free_pages(uint64_t *pages)
{
	const uint64_t many = 1ULL << 40;
	uint64_t taken, given, none;

	if (proc_number("/proc/metal", "free_pages ", pages))
		return (true);
	(void)proc_number("/proc/sys/vm/stat_refresh", "none", &none);
	if (!proc_number("/proc/vmstat", "nr_foll_pin_acquired ", &taken) ||
	    !proc_number("/proc/vmstat", "nr_foll_pin_released ", &given))
		return (false);
	*pages = many + given - taken;
	return (true);
}

/*
 * INFO into `r`, which has room for `max`. How many there are, or -1.
 */
static long
info(struct vm_info_result *r, size_t max)
{
	struct vm_info_params vip = { 0 };

	vip.vip_size = max * sizeof(*r);
	vip.vip_info = r;
	if (client_ioc_info(conform_fd, &vip) != 0)
		return (-1);
	if (vip.vip_info_ct == 0 && vip.vip_size > max * sizeof(*r))
		return (-1);
	return ((long)vip.vip_info_ct);
}

int
vcpu_state(uint32_t vm, uint32_t vcpu)
{
	struct vm_info_result r[64];
	long i, n;

	n = info(r, 64);
	CHECK(n >= 0);
	for (i = 0; i < n; i++)
		if (r[i].vir_id == vm)
			return (r[i].vir_vcpu_state[vcpu]);
	return (VCPU_STATE_UNKNOWN);
}

size_t
vm_count(void)
{
	struct vm_info_params vip = { 0 };

	CHECK_EQ(client_ioc_info(conform_fd, &vip), 0);
	return (vip.vip_size / sizeof(struct vm_info_result));
}

/*
 * Takes away what a clause left: VMs, then the threads that ran them, then
 * the memory. Returns how many VMs it had left beside those of new_vm().
 */
static long
clean(void)
{
	static struct vm_info_result r[256];
	long i, n, own = 0;
	size_t k;
	int t;

	for (k = 0; k < nvms; k++)
		if (vms[k].id != 0)
			client_ioc_term(conform_fd, vms[k].id);
	n = info(r, sizeof(r) / sizeof(r[0]));
	for (i = 0; i < n; i++)
		if (client_ioc_term(conform_fd, r[i].vir_id) == 0)
			own++;
	for (t = 0; t < nthreads; t++)
		if (!threads[t].joined)
			pthread_join(threads[t].id, NULL);
	nthreads = 0;
	for (k = 0; k < nvms; k++)
		client_destroy(&vms[k]);
	nvms = 0;
	return (own);
}

/* Fails the clause if a VM or a page of the host's is still taken. */
static void
check_leaks(bool counted, uint64_t before)
{
	struct vm_info_result r[1];
	uint64_t now;

	if (info(r, 1) != 0) {
		note("a VM is left in INFO");
		verdict = FAILED;
	}
	if (counted && (!host_free_pages(&now) || now < before)) {
		note("leak: %lld pages of the host's",
		    (long long)(before - now));
		verdict = FAILED;
	}
}

/* Runs one clause with its clean-up and leak check; sets `verdict`. */
static void
run_clause(const struct clause *c)
{
	jmp_buf here;
	uint64_t before = 0;
	bool counted;

	verdict = PASS;
	notes_len = 0;
	notes[0] = '\0';
	skip_why = NULL;
	counted = host_free_pages(&before);
	guard_ticks = limit_s * 1000 / TICK_MS;
	out = &here;
	if (setjmp(here) == 0)
		c->fn();
	if (clean() > 0 && verdict == PASS) {
		note("a VM was left running");
		verdict = FAILED;
	}
	check_leaks(counted, before);
	guard_ticks = 0;
}

/* Prints the collected notes as TAP diagnostics. */
static void
print_notes(void)
{
	char *p, *end;

	for (p = notes; *p != '\0'; p = end + 1) {
		end = strchr(p, '\n');
		if (end == NULL)
			break;
		printf("# %.*s\n", (int)(end - p), p);
	}
}

/* The guard: a clause that does not end in time ends the program. */
static void *
guard_main(void *arg)
{
	const struct clause *c;

	(void)arg;
	for (;;) {
		pause_ms(TICK_MS);
		if (guard_ticks == 0 || --guard_ticks > 0)
			continue;
		c = chosen[guard_index];
		printf("not ok %zu - %s %s\n", guard_index + 1, c->id,
		    c->title);
		print_notes();
		printf("# timed out after %u s\nBail out! %s hangs\n",
		    limit_s, c->id);
		fflush(stdout);
		_exit(1);
	}
	return (NULL);
}

static void
warm_thread(void *arg)
{
	(void)arg;
	note("warm");
}

/*
 * Touches every page of the program and a good piece of its stack: a page of
 * its own that a clause touches first would look like a leak of the host's.
 */
static void
touch_all(void)
{
	extern const Elf64_Ehdr __ehdr_start;
	const Elf64_Phdr *ph = (const void *)((const char *)&__ehdr_start +
	    __ehdr_start.e_phoff);
	volatile char stack[128 * 1024], sum = 0;
	uint64_t va;
	int i;

	for (i = 0; i < __ehdr_start.e_phnum; i++, ph++)
		for (va = ph->p_vaddr & ~4095UL; ph->p_type == PT_LOAD &&
		    va < ph->p_vaddr + ph->p_memsz; va += 4096)
			sum += *(volatile char *)(va < ph->p_vaddr ?
			    ph->p_vaddr : va);
	for (va = 0; va < sizeof(stack); va += 4096)
		stack[va] = sum;
}

/* What the harness itself allocates, once, before pages are counted. */
static void
warm_up(void)
{
	struct client_vm v;
	jmp_buf here;
	pthread_t t;

	if (pthread_create(&t, NULL, guard_main, NULL) != 0) {
		printf("Bail out! no guard thread\n");
		exit(1);
	}
	touch_all();
	memset(&v, 0, sizeof(v));
	if (client_create(conform_fd, "warm-up", 4 * CLIENT_MIB, 1, &v) == 0) {
		memset(v.mem, 0, v.size);
		client_destroy(&v);
	}
	out = &here;
	if (setjmp(here) == 0)
		join(spawn(warm_thread, NULL));
	nthreads = 0;
}

/* Runs all chosen clauses. Returns the exit status. */
static int
run_all(void)
{
	size_t k, count[3] = { 0, 0, 0 };
	const struct clause *c;

	printf("TAP version 13\n# nonce %llu\n1..%zu\n",
	    (unsigned long long)nonce, nchosen);
	conform_fd = client_open();
	if (conform_fd == -1) {
		printf("Bail out! /dev/vmm: %s\n", strerror(errno));
		return (1);
	}
	warm_up();
	for (k = 0; k < nchosen; k++) {
		c = chosen[k];
		guard_index = k;
		run_clause(c);
		count[verdict]++;
		printf("%sok %zu - %s %s", verdict == FAILED ? "not " : "",
		    k + 1, c->id, c->title);
		if (verdict == SKIPPED)
			printf(" # SKIP %s", skip_why);
		printf("\n");
		if (verdict == FAILED)
			print_notes();
		fflush(stdout);
	}
	printf("# pass %zu fail %zu skip %zu\n", count[PASS], count[FAILED],
	    count[SKIPPED]);
	return (count[FAILED] != 0 || count[PASS] == 0);
}

/* Whether the clause was asked for. */
static bool
wanted(const struct clause *c)
{
	size_t i;

	for (i = 0; i < nonly; i++)
		if (fnmatch(only[i], c->id, 0) == 0)
			return (true);
	return (nonly == 0);
}

/* Adds the wanted clauses of a list of tables to `chosen`. */
static void
choose(const struct clause *const *tables)
{
	const struct clause *c;
	size_t k;

	for (; *tables != NULL; tables++)
		for (c = *tables; c->id != NULL; c++) {
			if (!wanted(c))
				continue;
			for (k = 0; k < nchosen; k++)
				if (strcmp(chosen[k]->id, c->id) == 0) {
					fprintf(stderr, "conform: two clauses "
					    "are named %s\n", c->id);
					exit(2);
				}
			if (nchosen == MAX_CLAUSES)
				abort();
			chosen[nchosen++] = c;
		}
}

/* --list and --report. */
static void
list(bool all)
{
	static const char *const layers[] = { "ioctl", "exit" };
	static const char *const classes[] = { "match", "fix", "beyond" };
	const struct clause *c;
	size_t k;

	for (k = 0; k < nchosen; k++) {
		c = chosen[k];
		printf("%s\t%s", c->id, c->title);
		if (all)
			printf("\t%s\t%s\t%s", layers[c->layer],
			    classes[c->class], c->vendors ? c->vendors : "");
		printf("\n");
	}
}

static void
usage(void)
{
	fprintf(stderr, "usage: conform [--list | --report] [--only GLOB]... "
	    "[--nonce N] [--limit SECONDS]\n");
	exit(2);
}

int
main(int argc, char **argv)
{
	bool listing = false, all = false;
	int i;

	nonce = 1;
	for (i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--list") == 0)
			listing = true;
		else if (strcmp(argv[i], "--report") == 0)
			listing = all = true;
		else if (i + 1 == argc)
			usage();
		else if (strcmp(argv[i], "--only") == 0 && nonly < MAX_ONLY)
			only[nonly++] = argv[++i];
		else if (strcmp(argv[i], "--nonce") == 0)
			nonce = strtoull(argv[++i], NULL, 0);
		else if (strcmp(argv[i], "--limit") == 0)
			limit_s = (unsigned int)strtoul(argv[++i], NULL, 0);
		else
			usage();
	}
	/* In an emulator that counts instructions, seconds are long. */
	if (limit_s == 0)
		limit_s = under_tcg() && proc_number("/proc/metal",
		    "free_pages ", &last_fresh) ? 3 : 20;
	last_fresh = nonce;
	choose(ioctl_tables);
	choose(exit_tables);
	if (listing) {
		list(all);
		return (0);
	}
	return (run_all());
}
