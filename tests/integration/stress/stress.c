/* SPDX-License-Identifier: ISC */
/*
 * stress.c - options, threads, and the guard that pokes and watches them.
 *
 *	stress [--seed N] [--threads N] [--vms N] [--ops N] [--kill N]
 *	    [--limit SECONDS] [--slow N]
 *
 * Without --kill: one storm of --ops operations, then the proof that it left
 * nothing. With --kill: N short storms, each in a process that is killed in
 * the middle of it, and the same proof. On metal, which has 64 MiB, the storm
 * has to be smaller: --threads 24 --vms 6 --ops 20000. --slow: the guard
 * leaves threads in RUN N times as long.
 */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "stress.h"

#define FILES		4	/* open files that the workers share */
#define TICK_MS		2	/* of the guard */
#define KILL_THREADS	8
#define KILL_VMS	4
#define KILL_MS		50	/* a storm lives at most so long */
#define KILL_CHECK	50	/* kills between two proofs */
#define ASID_VMS	200	/* with 32 resets and entries each */
#define NOBODY		65534	/* uid of the stranger */

uint64_t seed = 1;
atomic_uint_fast64_t guard_tick;
bool on_metal;

static unsigned int threads = 64, vms = 16, kills, limit_s, slowness = 1;
static uint64_t ops = 1000000;

static int files[FILES];
static pthread_mutex_t fail_lock = PTHREAD_MUTEX_INITIALIZER;

/* Workers, then the stranger, then the main thread. */
#define STRANGER	MAX_THREADS
#define MAIN		(MAX_THREADS + 1)
static struct worker workers[MAIN + 1];
static struct worker *const self = &workers[MAIN];
static atomic_uint nworkers;		/* that the guard looks at */
static unsigned int rally_size;

/* The first failure is told, whole, and nothing else after it. */
void
fail(struct worker *w, const char *fmt, ...)
{
	va_list ap;

	pthread_mutex_lock(&fail_lock);
	printf("stress: FAILED thread %u op %lu: ", w->nr, w->op);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf(" (seed %lu)\n", seed);
	fflush(stdout);
	_exit(1);
}

void
pause_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, (long)(ms % 1000) * 1000000 };

	while (nanosleep(&ts, &ts) == -1 && errno == EINTR)
		continue;
}

/* --- The guard --- */

/* Gets a thread out of RUN: the signal alone does that. */
static void
on_poke(int sig)
{
	(void)sig;
}

/* Where every thread is, when it is too late. */
static void
guard_give_up(void)
{
	struct worker *w;
	unsigned int i;

	pthread_mutex_lock(&fail_lock);
	for (i = 0; i < NELEM(workers); i++) {
		w = &workers[i];
		if (w->op < w->ops || w == self)
			printf("thread %u op %lu of %lu: %s since %lu ms\n",
			    w->nr, w->op, w->ops, ioc_name[w->ioc],
			    (guard_tick - w->since) * TICK_MS);
	}
	printf("stress: FAILED not done after %u s (seed %lu)\n",
	    limit_s, seed);
	fflush(stdout);
	_exit(1);
}

/*
 * A thread that is too long in RUN gets a signal, with every tick until it is
 * out: one that comes before RUN has begun is lost.
 */
static void *
guard_main(void *arg)
{
	time_t end = time(NULL) + limit_s;
	struct worker *w;
	uint64_t now;
	unsigned int i, patience;

	(void)arg;
	for (;;) {
		pause_ms(TICK_MS);
		now = atomic_fetch_add(&guard_tick, 1) + 1;
		for (i = 0; i < nworkers; i++) {
			w = &workers[i];
			patience = w->patience * slowness;
			if (w->ioc == RUN && patience != 0 &&
			    now - w->since >= patience)
				pthread_kill(w->thread, SIGUSR1);
		}
		if (limit_s != 0 && time(NULL) >= end)
			guard_give_up();
	}
	return (NULL);
}

/* Pokes need a handler, or they would end the process. */
static void
guard_start(void)
{
	struct sigaction sa = { .sa_handler = on_poke };
	pthread_t thread;

	sigaction(SIGUSR1, &sa, NULL);
	if (pthread_create(&thread, NULL, guard_main, NULL) != 0)
		fail(self, "no thread for the guard");
}

/* --- The storm --- */

/* A worker: the rally, if it has a place in it, then its operations. */
static void *
worker_main(void *arg)
{
	struct worker *w = arg;
	uint64_t op;

	if (w->nr < rally_size)
		rally_run(w, w->nr);
	for (op = 0; op < w->ops; op++) {
		draw(w, op);
		op_any(w);
	}
	w->op = w->ops;
	return (NULL);
}

/*
 * A thread that becomes another user. The system call by itself does that to
 * the calling thread alone; its open file is from before.
 */
static void *
stranger_main(void *arg)
{
	struct worker *w = arg;
	uint64_t op;

	if (syscall(SYS_setresuid, NOBODY, NOBODY, NOBODY) != 0)
		fail(w, "setresuid: %s", strerror(errno));
	for (op = 0; op < w->ops; op++) {
		draw(w, op);
		op_stranger(w);
		if (op % 16 == 15)
			pause_ms(1);
	}
	w->op = w->ops;
	return (NULL);
}

/* Starts a worker, or the stranger. */
static void
thread_start(unsigned int nr, int fd, uint64_t total, void *(*fn)(void *))
{
	struct worker *w = &workers[nr];
	int error;

	w->nr = nr;
	w->fd = fd;
	w->ops = total;
	error = pthread_create(&w->thread, NULL, fn, w);
	if (error != 0)
		fail(w, "pthread_create: %s", strerror(error));
}

/* The device, as a descriptor of its own open file. */
static int
open_vmm(void)
{
	int fd = client_open();

	if (fd == -1)
		fail(self, "/dev/vmm: %s", strerror(errno));
	return (fd);
}

/* Whether there can be a thread of another user. */
static bool
have_stranger(void)
{
	return (!on_metal && geteuid() == 0);
}

/*
 * `total` operations by `n` workers, then no VM is left and no thread. With a
 * rally: first each is in RUN on its own VCPU of one VM, until INFO says that
 * all of these are RUNNING, and then the VM ends under them; and there is a
 * stranger. Adds to `sum` what was counted.
 */
static void
storm(unsigned int n, uint64_t total, bool rally, struct tally *sum)
{
	bool strange = rally && have_stranger();
	unsigned int i;

	rally_size = !rally ? 0 : n < BIG_VCPUS ? n : BIG_VCPUS;
	if (rally)
		rally_create(self, rally_size);
	memset(workers, 0, n * sizeof(workers[0]));
	for (i = 0; i < n; i++)
		thread_start(i, files[i % FILES], total / n + (i < total % n),
		    worker_main);
	nworkers = n;
	if (rally) {
		while (!rally_ready(self))
			pause_ms(TICK_MS);
		rally_end(self);
		printf("rally: %u VCPUs of one VM were RUNNING, and it "
		    "ended\n", rally_size);
	}
	if (strange)
		thread_start(STRANGER, open_vmm(), total / 64, stranger_main);
	for (i = 0; i < MAX_THREADS + 1; i++) {
		if (i >= n && !(strange && i == STRANGER))
			continue;
		pthread_join(workers[i].thread, NULL);
		tally_add(sum, &workers[i].tally);
	}
	nworkers = 0;
	if (strange)
		close(workers[STRANGER].fd);
	slots_finish(self);
}

/* Without --kill. */
static void
storm_and_proof(void)
{
	static struct tally sum;

	slots_init(vms, vms > 1 ? BIG_VCPUS : 0);
	if (on_metal) {
		/* Pages of our own, touched for the first time, are no leak. */
		storm(threads, threads * 32, true, &sum);
		proof_asids(self, 1);
		host_before();
		memset(&sum, 0, sizeof(sum));
		memset(&self->tally, 0, sizeof(self->tally));
	}
	host_before();
	storm(threads, ops, true, &sum);
	tally_add(&sum, &self->tally);
	tally_report(&sum);
	tally_check(self, &sum, ops, have_stranger());
	proof_asids(self, ASID_VMS);
	proof_none(self);
	host_after(self, true);
}

/* --- Kills --- */

/* The process to be killed: it would go on for ever. */
static void
kill_child(unsigned int n)
{
	static struct tally sum;
	unsigned int i;

	seed += n;
	for (i = 0; i < FILES; i++)
		files[i] = open_vmm();
	self->fd = files[0];
	guard_start();
	slots_init(KILL_VMS, KILL_THREADS);
	storm(KILL_THREADS, UINT64_MAX, false, &sum);
	_exit(0);
}

/* One kill, some time after the start. */
static void
kill_one(unsigned int n)
{
	struct timespec ts = { 0, 0 };
	int status = 0;
	pid_t pid;

	draw(self, n);
	ts.tv_nsec = (long)(self->random % (KILL_MS * 1000000UL));
	pid = fork();
	if (pid == -1)
		fail(self, "fork: %s", strerror(errno));
	if (pid == 0)
		kill_child(n);
	nanosleep(&ts, NULL);
	kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		continue;
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		fail(self, "the process ended with status %#x before it was "
		    "killed", status);
}

/* With --kill. */
static void
kills_and_proof(void)
{
	unsigned int n;

	host_before();
	for (n = 1; n <= kills; n++) {
		kill_one(n);
		if (n % KILL_CHECK == 0) {
			proof_none(self);
			host_after(self, false);
		}
		if (n % 100 == 0) {
			printf("killed %u\n", n);
			fflush(stdout);
		}
	}
	proof_asids(self, ASID_VMS);
	proof_none(self);
	host_after(self, true);
}

/* --- Options --- */

static void
usage(void)
{
	fprintf(stderr, "usage: stress [--seed N] [--threads 1-%d] "
	    "[--vms 1-%d] [--ops N] [--kill N] [--limit SECONDS] "
	    "[--slow 1-100]\n", MAX_THREADS, MAX_VMS);
	exit(2);
}

/* A whole number in [min, max], or usage(). */
static uint64_t
number(const char *text, uint64_t min, uint64_t max)
{
	unsigned long long n;
	char *end;

	if (text == NULL || *text < '0' || *text > '9')
		usage();
	errno = 0;
	n = strtoull(text, &end, 0);
	if (*end != '\0' || errno != 0 || n < min || n > max)
		usage();
	return (n);
}

static void
parse(char **argv)
{
	for (argv++; *argv != NULL; argv += 2) {
		if (strcmp(*argv, "--seed") == 0)
			seed = number(argv[1], 0, UINT64_MAX);
		else if (strcmp(*argv, "--threads") == 0)
			threads = number(argv[1], 1, MAX_THREADS);
		else if (strcmp(*argv, "--vms") == 0)
			vms = number(argv[1], 1, MAX_VMS);
		else if (strcmp(*argv, "--ops") == 0)
			ops = number(argv[1], 1, UINT64_MAX / 1000000);
		else if (strcmp(*argv, "--kill") == 0)
			kills = number(argv[1], 1, 1000000);
		else if (strcmp(*argv, "--slow") == 0)
			slowness = (unsigned int)number(argv[1], 1, 100);
		else if (strcmp(*argv, "--limit") == 0)
			limit_s = number(argv[1], 1, 1000000);
		else
			usage();
	}
}

int
main(int argc, char **argv)
{
	unsigned int i;

	(void)argc;
	parse(argv);
	on_metal = host_is_metal();
	printf("stress: seed %lu threads %u vms %u ops %lu kill %u\n",
	    seed, threads, vms, ops,
	    kills);
	fflush(stdout);
	self->nr = MAIN;
	for (i = 0; i < FILES; i++)
		files[i] = open_vmm();
	self->fd = files[0];
	guard_start();
	ops_init(self);
	proof_none(self);
	if (kills == 0)
		storm_and_proof();
	else if (on_metal)
		fail(self, "--kill: this host has no processes to kill");
	else
		kills_and_proof();
	printf("stress: ok\n");
	return (0);
}
