/* SPDX-License-Identifier: ISC */
/*
 * fake_host.c - threads, locks, CPUs, time and the log of the fake host.
 * Memory is in fake_mem.c.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "fake_cpu.h"
#include "fake_host.h"
#include "fake_priv.h"

#define MUTEX_LIVE	0x6d757478u
#define MUTEX_DEAD	0x64656164u
#define LOG_SIZE	65536

/* One fake CPU as the scheduler sees it. */
struct fake_cpu_slot {
	pthread_mutex_t	busy;		/* held in contexts E and C */
	int		online;
	int		kick;		/* atomic: leave the guest */
	int		calls;		/* atomic: host_cpu_call waits */
	unsigned int	kicks;		/* atomic */
};

static struct fake_cpu_slot	 cpus[FAKE_MAX_CPUS];
static pthread_mutex_t		 cpus_lock;	/* host_cpus_hold */
static int			 cpus_held;	/* atomic */
static unsigned int		 ncpus;
static unsigned int		 nmis, mces;
static uint64_t			 live_mutexes;
static void			 (*call_hook)(unsigned int);
bool				 fake_log_busy;
static char			 log_text[LOG_SIZE];
static size_t			 log_len;
static pthread_mutex_t		 log_lock = PTHREAD_MUTEX_INITIALIZER;
static struct fake_thread	*threads;	/* log_lock */
static _Thread_local struct fake_thread *self;
static _Thread_local unsigned int self_boot;
static unsigned int		 boots;

void		(*fake_enter_hook)(void);
void		(*fake_yield_hook)(void);
void		(*fake_lock_hook)(const char *);
uint64_t	 fake_tsc_hz, fake_time;
_Thread_local struct fake_trace fake_trace;

/* Ends the test: a rule of the host contract was broken. */
void
fake_die(const char *fmt, ...)
{
	va_list ap;

	fputs("fake host: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	fflush(stderr);
	abort();
}

/* The calling thread, made known at its first use. */
struct fake_thread *
fake_self(void)
{
	if (self == NULL || self_boot != boots) {
		self = calloc(1, sizeof(*self));
		if (self == NULL)
			fake_die("no memory for a thread");
		self_boot = boots;
		self->as = fake_as_default();
		self->caller.pid = 100;
		self->caller.uid = 1000;
		pthread_mutex_lock(&log_lock);
		self->next = threads;
		threads = self;
		pthread_mutex_unlock(&log_lock);
	}
	return (self);
}

/* Dies unless the caller's context is one of those allowed. */
void
fake_assert_context(const char *what, bool s, bool e, bool c)
{
	enum fake_context now = fake_self()->context;

	if ((now == FAKE_S && s) || (now == FAKE_E && e) ||
	    (now == FAKE_C && c))
		return;
	fake_die("%s called in context %s", what,
	    now == FAKE_S ? "S" : now == FAKE_E ? "E" : "C");
}

/* Everything as at boot: four CPUs, one client, time zero. */
void
fake_reset(void)
{
	struct fake_thread *t;
	unsigned int i;

	while ((t = threads) != NULL) {
		threads = t->next;
		free(t);
	}
	boots++;
	fake_mem_reset();
	for (i = 0; i < FAKE_MAX_CPUS; i++) {
		pthread_mutex_init(&cpus[i].busy, NULL);
		cpus[i].online = 0;
		cpus[i].kick = 0;
		cpus[i].calls = 0;
		cpus[i].kicks = 0;
	}
	fake_cpus(4);
	pthread_mutex_init(&cpus_lock, NULL);
	cpus_held = 0;
	nmis = mces = 0;
	live_mutexes = 0;
	call_hook = NULL;
	fake_enter_hook = NULL;
	fake_yield_hook = NULL;
	fake_lock_hook = NULL;
	fake_tsc_hz = 2000000000;
	fake_time = 1000;
	fake_log_clear();
	fake_cpu_reset();
}

/* No lock held, nothing left open: true after every call of the driver. */
void
fake_check_idle(void)
{
	struct fake_thread *t = fake_self();

	if (t->context != FAKE_S)
		fake_die("left in context %d", t->context);
	if (t->nheld != 0)
		fake_die("lock %s still held", t->held[0]->name);
	if (t->in_fpu)
		fake_die("host_fpu_begin without host_fpu_end");
	if (t->holds_cpus)
		fake_die("host_cpus_hold without host_cpus_release");
}

/* Nothing of the driver is left: pages, allocations, pins, charges, locks. */
void
fake_check_clean(void)
{
	fake_check_idle();
	if (fake_kernel_pages() != 0 || fake_allocs() != 0 ||
	    fake_pins() != 0 || fake_charged() != 0 || live_mutexes != 0)
		fake_die("leak: %llu pages, %llu allocations, %llu pins, "
		    "%llu charged, %llu mutexes",
		    (unsigned long long)fake_kernel_pages(),
		    (unsigned long long)fake_allocs(),
		    (unsigned long long)fake_pins(),
		    (unsigned long long)fake_charged(),
		    (unsigned long long)live_mutexes);
	fake_cpu_check_clean();
}

uint64_t
fake_live_mutexes(void)
{
	return (__atomic_load_n(&live_mutexes, __ATOMIC_SEQ_CST));
}

/* --- Locks --- */

void
host_mutex_init(struct host_mutex *m, const char *name, int rank)
{
	if (m->magic == MUTEX_LIVE)
		fake_die("mutex %s initialised twice", name);
	m->magic = MUTEX_LIVE;
	m->name = name;
	m->rank = rank;
	m->owner = NULL;
	pthread_mutex_init(&m->mutex, NULL);
	__atomic_add_fetch(&live_mutexes, 1, __ATOMIC_SEQ_CST);
}

void
host_mutex_destroy(struct host_mutex *m)
{
	fake_assert_context("host_mutex_destroy", true, false, false);
	if (m->magic != MUTEX_LIVE)
		fake_die("mutex destroyed but not initialised");
	if (m->owner != NULL)
		fake_die("mutex %s destroyed while held", m->name);
	m->magic = MUTEX_DEAD;
	pthread_mutex_destroy(&m->mutex);
	__atomic_sub_fetch(&live_mutexes, 1, __ATOMIC_SEQ_CST);
}

void
host_mutex_lock(struct host_mutex *m)
{
	struct fake_thread *t = fake_self();

	fake_assert_context("host_mutex_lock", true, false, false);
	if (m->magic != MUTEX_LIVE)
		fake_die("lock of a mutex that is not initialised");
	if (fake_lock_hook != NULL && t->nheld == 0 && !t->holds_cpus)
		fake_lock_hook(m->name);
	if (t->nheld != 0 && t->held[t->nheld - 1]->rank >= m->rank)
		fake_die("lock order: %s (%d) taken under %s (%d)", m->name,
		    m->rank, t->held[t->nheld - 1]->name,
		    t->held[t->nheld - 1]->rank);
	if (t->nheld == FAKE_MAX_HELD)
		fake_die("too many locks");
	pthread_mutex_lock(&m->mutex);
	__atomic_store_n(&m->owner, t, __ATOMIC_SEQ_CST);
	t->held[t->nheld++] = m;
}

void
host_mutex_unlock(struct host_mutex *m)
{
	struct fake_thread *t = fake_self();
	unsigned int i;

	fake_assert_context("host_mutex_unlock", true, false, false);
	if (__atomic_load_n(&m->owner, __ATOMIC_SEQ_CST) != t)
		fake_die("lock %s not held by the caller", m->name);
	for (i = 0; t->held[i] != m; i++)
		;
	t->nheld--;
	for (; i < t->nheld; i++)
		t->held[i] = t->held[i + 1];
	__atomic_store_n(&m->owner, NULL, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&m->mutex);
}

/* --- CPUs --- */

void
fake_cpus(unsigned int n)
{
	unsigned int i;

	ncpus = n;
	for (i = 0; i < FAKE_MAX_CPUS; i++)
		cpus[i].online = i < n;
}

void
fake_cpu_online(unsigned int cpu, bool online)
{
	__atomic_store_n(&cpus[cpu].online, online, __ATOMIC_SEQ_CST);
}

void
fake_cpu_set(unsigned int cpu)
{
	fake_assert_context("fake_cpu_set", true, false, false);
	fake_self()->cpu = cpu;
}

void
fake_call_hook(void (*fn)(unsigned int cpu))
{
	call_hook = fn;
}

bool
fake_kicked(unsigned int cpu)
{
	return (__atomic_load_n(&cpus[cpu].kick, __ATOMIC_SEQ_CST) != 0 ||
	    __atomic_load_n(&cpus[cpu].calls, __ATOMIC_SEQ_CST) != 0);
}

unsigned int
fake_kicks(unsigned int cpu)
{
	return (__atomic_load_n(&cpus[cpu].kicks, __ATOMIC_SEQ_CST));
}

unsigned int
host_cpu_self(void)
{
	return (fake_self()->cpu);
}

unsigned int
host_cpu_count(void)
{
	return (ncpus);
}

bool
fake_cpu_is_online(unsigned int cpu)
{
	return (cpu < ncpus &&
	    __atomic_load_n(&cpus[cpu].online, __ATOMIC_SEQ_CST));
}

/* Taken before any mutex; no CPU comes or goes while it is held. */
void
host_cpus_hold(void)
{
	struct fake_thread *t = fake_self();

	fake_assert_context("host_cpus_hold", true, false, false);
	if (t->nheld != 0)
		fake_die("host_cpus_hold under lock %s", t->held[0]->name);
	if (t->holds_cpus)
		fake_die("host_cpus_hold twice");
	pthread_mutex_lock(&cpus_lock);
	t->holds_cpus = true;
	__atomic_store_n(&cpus_held, 1, __ATOMIC_SEQ_CST);
}

void
host_cpus_release(void)
{
	struct fake_thread *t = fake_self();

	fake_assert_context("host_cpus_release", true, false, false);
	if (!t->holds_cpus)
		fake_die("host_cpus_release without host_cpus_hold");
	t->holds_cpus = false;
	__atomic_store_n(&cpus_held, 0, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&cpus_lock);
}

bool
fake_cpus_held(void)
{
	return (__atomic_load_n(&cpus_held, __ATOMIC_SEQ_CST) != 0);
}

void
fake_hotplug(unsigned int cpu, void (*fn)(void *), void *arg)
{
	host_cpus_hold();
	if (host_cpu_call(cpu, fn, arg) != 0)
		fake_die("hotplug of CPU %u that is off", cpu);
	host_cpus_release();
}

/* An interrupt to that CPU: it leaves the guest, then runs fn. */
int
host_cpu_call(unsigned int cpu, void (*fn)(void *), void *arg)
{
	struct fake_thread *t = fake_self();
	unsigned int was = t->cpu;

	fake_assert_context("host_cpu_call", true, false, false);
	if (call_hook != NULL)
		call_hook(cpu);
	if (!fake_cpu_is_online(cpu))
		return (EINVAL);
	__atomic_add_fetch(&cpus[cpu].calls, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_lock(&cpus[cpu].busy);
	__atomic_sub_fetch(&cpus[cpu].calls, 1, __ATOMIC_SEQ_CST);
	t->context = FAKE_C;
	t->cpu = cpu;
	fn(arg);
	if (t->context != FAKE_C || t->cpu != cpu)
		fake_die("host_cpu_call: the function changed context");
	t->context = FAKE_S;
	t->cpu = was;
	pthread_mutex_unlock(&cpus[cpu].busy);
	return (0);
}

void
host_cpu_call_all(void (*fn)(void *), void *arg)
{
	unsigned int i;

	for (i = 0; i < ncpus; i++)
		(void)host_cpu_call(i, fn, arg);
}

void
host_cpu_kick(unsigned int cpu)
{
	if (cpu >= ncpus)
		fake_die("kick of CPU %u", cpu);
	__atomic_add_fetch(&cpus[cpu].kicks, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&cpus[cpu].kick, 1, __ATOMIC_SEQ_CST);
}

/* --- Around an entry --- */

bool
host_enter_begin(void)
{
	struct fake_thread *t = fake_self();

	fake_assert_context("host_enter_begin", true, false, false);
	if (t->nheld != 0)
		fake_die("entry with lock %s held", t->held[0]->name);
	if (fake_must_stop())
		return (false);
	if (fake_enter_hook != NULL)
		fake_enter_hook();
	if (!fake_cpu_is_online(t->cpu))
		fake_die("thread on CPU %u that is off", t->cpu);
	pthread_mutex_lock(&cpus[t->cpu].busy);
	__atomic_store_n(&cpus[t->cpu].kick, 0, __ATOMIC_SEQ_CST);
	t->context = FAKE_E;
	fake_cpu_enter_begin();
	return (true);
}

void
host_enter_end(void)
{
	struct fake_thread *t = fake_self();

	fake_assert_context("host_enter_end", false, true, false);
	if (t->in_fpu)
		fake_die("host_enter_end inside host_fpu_begin");
	fake_cpu_enter_end();
	t->context = FAKE_S;
	pthread_mutex_unlock(&cpus[t->cpu].busy);
}

void
fake_signal(struct fake_thread *t)
{
	__atomic_store_n(&t->signal, 1, __ATOMIC_SEQ_CST);
}

void
fake_signal_clear(struct fake_thread *t)
{
	__atomic_store_n(&t->signal, 0, __ATOMIC_SEQ_CST);
}

bool
fake_must_stop(void)
{
	return (__atomic_load_n(&fake_self()->signal, __ATOMIC_SEQ_CST) != 0);
}

void
host_yield(void)
{
	fake_assert_context("host_yield", true, false, false);
	if (fake_self()->nheld != 0)
		fake_die("host_yield with a lock held");
	fake_self()->yields++;
	if (fake_yield_hook != NULL)
		fake_yield_hook();
}

void
host_nmi(void)
{
	fake_assert_context("host_nmi", false, true, false);
	nmis++;
}

void
host_mce(void)
{
	fake_assert_context("host_mce", false, true, false);
	mces++;
}

unsigned int
fake_nmis(void)
{
	return (nmis);
}

unsigned int
fake_mces(void)
{
	return (mces);
}

/* --- Time, caller, log --- */

uint64_t
host_tsc_hz(void)
{
	return (fake_tsc_hz);
}

uint64_t
host_time_ns(void)
{
	return (fake_time);
}

void
fake_caller(int32_t pid, uint32_t uid, bool admin)
{
	struct host_caller *c = &fake_self()->caller;

	c->pid = pid;
	c->uid = uid;
	c->admin = admin;
}

void
host_caller(struct host_caller *c)
{
	fake_assert_context("host_caller", true, false, false);
	fake_self()->asked++;
	*c = fake_self()->caller;
}

void
host_log(bool often, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (often && fake_log_busy)
		return;
	pthread_mutex_lock(&log_lock);
	va_start(ap, fmt);
	n = vsnprintf(log_text + log_len, LOG_SIZE - log_len, fmt, ap);
	va_end(ap);
	if (n < 0 || log_len + (size_t)n + 2 > LOG_SIZE)
		fake_die("log overflow");
	if (memchr(log_text + log_len, '\n', (size_t)n) != NULL)
		fake_die("newline in a log line");
	log_len += (size_t)n;
	log_text[log_len++] = '\n';
	log_text[log_len] = '\0';
	pthread_mutex_unlock(&log_lock);
}

const char *
fake_log(void)
{
	return (log_text);
}

bool
fake_log_has(const char *s)
{
	return (strstr(log_text, s) != NULL);
}

void
fake_log_clear(void)
{
	log_len = 0;
	fake_log_busy = false;
	log_text[0] = '\0';
}

void
host_bug(const char *file, int line, const char *what)
{
	fake_die("%s:%d: %s", file, line, what);
}

/*
 * The traces: how many, and what the last one of each said. An entry is told
 * before its exit, one of each, and both of the same VCPU.
 */
void
host_trace_entry(uint32_t vm, uint32_t vcpu, uint64_t rip)
{
	fake_assert_context("host_trace_entry", false, true, false);
	if (fake_trace.entries != fake_trace.exits)
		fake_die("two entries and no exit between");
	fake_trace.entries++;
	fake_trace.vm = vm;
	fake_trace.vcpu = vcpu;
	fake_trace.entry_rip = rip;
}

void
host_trace_exit(uint32_t vm, uint32_t vcpu, uint64_t rip, const char *kind,
    uint64_t code, const uint64_t info[2])
{
	fake_assert_context("host_trace_exit", false, true, false);
	if (++fake_trace.exits != fake_trace.entries)
		fake_die("exit without an entry before");
	if (vm != fake_trace.vm || vcpu != fake_trace.vcpu)
		fake_die("exit of another VCPU than the one entered");
	fake_trace.exit_rip = rip;
	fake_trace.kind = kind;
	fake_trace.code = code;
	fake_trace.info[0] = info[0];
	fake_trace.info[1] = info[1];
}

void
host_trace_ioctl(uint32_t nr, uint32_t vm, int error)
{
	fake_assert_context("host_trace_ioctl", true, false, false);
	fake_trace.ioctls++;
	fake_trace.nr = nr;
	fake_trace.ioctl_vm = vm;
	fake_trace.error = error;
}
