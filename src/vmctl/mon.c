/* SPDX-License-Identifier: ISC */
/*
 * mon.c - a VM: its memory, a thread for each VCPU, what it does at an exit.
 *
 * An interrupt of the PIC reaches VCPU 0 so: while the PIC's output is on, a
 * RUN that could take an interrupt (vrp_irqready) gets the vector that the
 * PIC gives for it; one that could not is told by INTR that something waits,
 * and comes back when it can. A VCPU inside RUN is brought out by INTR, or by
 * a signal where it has to stop whatever its IF says.
 */
#include <sys/mman.h>

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cond.h"
#include "mon.h"
#include "vmctl.h"
#include "../../guests/guest.h"

#define NO_IRQ		0xffff
#define KICK		SIGUSR1
#define KICK_AGAIN_NS	5000000		/* it may come just before RUN */
#define LOW_MAX		VMM_PCI_MMIO_BAR_BASE
#define HIGH_BASE	0x100000000ULL

static uint64_t
monotonic(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((uint64_t)ts.tv_sec * SECOND_NS + (uint64_t)ts.tv_nsec);
}

uint64_t
mon_now(void *arg)
{
	struct mon *m = arg;

	return (monotonic() - m->start);
}

/* Wait on `c`, at most until `at` ns after the start of the VM. */
static void
wait_until(struct mon *m, pthread_cond_t *c, uint64_t at)
{
	uint64_t t = m->start + at;
	struct timespec ts = {
		.tv_sec = (time_t)(t / SECOND_NS),
		.tv_nsec = (long)(t % SECOND_NS),
	};

	if (at == TIME_NEVER)
		pthread_cond_wait(c, &m->lock);
	else
		pthread_cond_timedwait(c, &m->lock, &ts);
}

/*
 * --- What others ask of the VM. ---
 */

/*
 * The threads of a busy guest take the lock again as soon as they let it go.
 * Each that gets it while somebody waits here lies down first.
 */
void
mon_lock(struct mon *m)
{
	atomic_fetch_add(&m->outsiders, 1);
	pthread_mutex_lock(&m->lock);
	if (atomic_fetch_sub(&m->outsiders, 1) == 1)
		pthread_cond_broadcast(&m->polite);
}

void
mon_unlock(struct mon *m)
{
	pthread_mutex_unlock(&m->lock);
}

static void
give_way(struct mon *m)
{
	while (atomic_load(&m->outsiders) != 0)
		pthread_cond_wait(&m->polite, &m->lock);
}

void
mon_kick(struct mon *m)
{
	m->busy = true;
	pthread_cond_signal(&m->work);
}

static void
timers_changed(void *arg)
{
	struct mon *m = arg;

	pthread_cond_signal(&m->work);
}

void
mon_finish(struct mon *m, enum mon_end end)
{
	if (m->end == END_NONE)
		m->end = end;
	m->state = MON_END;
	mon_kick(m);
}

/* VCPU 0's thread looks at m->irq before each RUN; in one, it is fetched. */
void
mon_irq(void *arg, int nr, bool level)
{
	struct mon *m = arg;
	struct mon_cpu *c = &m->cpu[0];

	(void)nr;
	m->irq = level;
	if (!level)
		return;
	pthread_cond_signal(&c->wake);
	if (c->in_run && !c->intr) {
		c->intr = true;
		(void)client_ioc_intr(m->fd, m->id, 0, 1);
	}
}

static bool
all_parked(const struct mon *m)
{
	unsigned int i;

	for (i = 0; i < m->ncpus; i++)
		if (!m->cpu[i].parked)
			return (false);
	return (true);
}

static void
wake_all(struct mon *m)
{
	unsigned int i;

	for (i = 0; i < m->ncpus; i++)
		pthread_cond_signal(&m->cpu[i].wake);
}

/* Tell every VCPU to look at the state, and give them time. Lock held. */
static void
call_out(struct mon *m)
{
	unsigned int i;

	wake_all(m);
	for (i = 0; i < m->ncpus; i++)
		if (m->cpu[i].in_run)
			pthread_kill(m->cpu[i].thread, KICK);
	wait_until(m, &m->idle, mon_now(m) + KICK_AGAIN_NS);
}

/* Bring every VCPU out of RUN, when the state says so. Lock held. */
static void
park(struct mon *m)
{
	while (!all_parked(m))
		call_out(m);
}

/* A reset may come between, and then the pause stands; so may the end. */
bool
mon_pause(struct mon *m, bool pause)
{
	bool ends;

	mon_lock(m);
	m->paused = pause;
	if (m->state == MON_RUN || m->state == MON_PAUSE)
		m->state = pause ? MON_PAUSE : MON_RUN;
	wake_all(m);
	while (m->paused && m->state != MON_END &&
	    (m->state != MON_PAUSE || !all_parked(m)))
		call_out(m);
	ends = m->state == MON_END;
	mon_unlock(m);
	return (!ends);
}

/* The machine starts over: the device thread does it. Lock held. */
void
mon_reset(struct mon *m)
{
	if (m->state == MON_RUN || m->state == MON_PAUSE)
		m->state = MON_RESET;
	mon_kick(m);
}

/*
 * --- A VCPU. ---
 */

/*
 * What a guest of ours reports goes where its serial line goes, and waits for
 * room there. Lock held, but for the wait.
 */
static void
cpu_say(struct mon_cpu *c, const char *fmt, ...)
{
	struct mon *m = c->mon;
	char line[64], *p;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	for (p = line; *p != '\0'; p++)
		while (!machine_put(m, (uint8_t)*p) && m->state == MON_RUN)
			wait_until(m, &m->idle, mon_now(m) + KICK_AGAIN_NS);
}

/* This VCPU has come to its end; the last one takes the VM along. */
static void
cpu_end(struct mon_cpu *c, enum mon_end end)
{
	struct mon *m = c->mon;
	unsigned int i;

	c->on = false;
	for (i = 0; i < m->ncpus; i++)
		if (m->cpu[i].on)
			return;
	mon_finish(m, end);
}

/* The ports of guests of ours, see guest.h. Returns: it is one of them. */
static bool
guest_port(struct mon_cpu *c, const struct io *io)
{
	if (!c->mon->ours || io->in || io->size != 4 ||
	    io->port < GUEST_VALUE || io->port > GUEST_FAIL)
		return (false);
	if (io->port == GUEST_VALUE)
		cpu_say(c, "vcpu %u: value %#x\r\n", c->v.vcpu, io->data);
	else if (io->port == GUEST_DONE && io->data == (uint32_t)c->v.nonce)
		cpu_end(c, END_DONE);
	else {
		ctl_error(0, "%s: vcpu %u: the guest failed at its line %u",
		    c->mon->config->name, c->v.vcpu, io->data);
		mon_finish(c->mon, END_FAILED);
	}
	return (true);
}

/* String I/O moves no memory in this interface: an OUTS is heard as zeros. */
static void
cpu_io(struct mon_cpu *c)
{
	const struct vm_exit_inout *vei = &c->v.exit.vei;
	struct io io = {
		.port = vei->vei_port,
		.size = vei->vei_size,
		.in = vei->vei_dir == VEI_DIR_IN,
		.data = vei->vei_data,
	};

	if (guest_port(c, &io))
		return;
	bus_do(&c->mon->bus, &io);
	if (io.in)
		client_answer(&c->v, io.data);
}

/* Act on an exit. Lock held. */
static void
cpu_exit(struct mon_cpu *c)
{
	struct mon *m = c->mon;

	switch (client_event(&c->v)) {
	case CLIENT_IO:
		cpu_io(c);
		break;
	case CLIENT_HLT:
		/*
		 * Not if a vector that an earlier RUN brought still waits in
		 * the driver, as behind STI: the PIC counts it as taken and
		 * asks no more, and it is what ends this HLT.
		 */
		c->halted = c->v.run.vrp_irqready != 0;
		break;
	case CLIENT_SHUTDOWN:
		mon_reset(m);
		break;
	case CLIENT_WINDOW:
	case CLIENT_NONE:
		break;
	case CLIENT_TERMINATED:
		mon_finish(m, END_STOPPED);
		break;
	default:
		ctl_error(0, "%s: vcpu %u: exit %#x, which the monitor has no "
		    "answer to", m->config->name, c->v.vcpu,
		    c->v.run.vrp_exit_reason);
		mon_finish(m, END_FAILED);
	}
}

/* RUN failed: the VCPU has ended, or the VM is gone. Lock held. */
static void
cpu_failed(struct mon_cpu *c, int error)
{
	struct mon *m = c->mon;

	if (m->state == MON_END)
		return;
	if (error == EIO) {		/* HLT with interrupts off */
		cpu_end(c, END_HALTED);
		return;
	}
	if (error == ENOENT) {		/* somebody's TERM */
		mon_finish(m, END_STOPPED);
		return;
	}
	ctl_error(0, "%s: vcpu %u: RUN: %s; the host's log says why",
	    m->config->name, c->v.vcpu, strerror(error));
	mon_finish(m, END_FAILED);
}

/* What the coming RUN brings along: a vector, or notice that one waits. */
static uint16_t
cpu_interrupt(struct mon_cpu *c)
{
	struct mon *m = c->mon;
	uint16_t irq = NO_IRQ;
	bool wants;

	if (c->v.vcpu != 0)
		return (NO_IRQ);
	if (m->irq && c->v.run.vrp_irqready) {
		irq = machine_ack(m);
		c->v.run.vrp_irqready = 0;
	}
	wants = m->irq;			/* still, or another */
	if (wants != c->intr) {
		c->intr = wants;
		(void)client_ioc_intr(m->fd, m->id, 0, wants);
	}
	return (irq);
}

/* One RUN. Lock held, but for it. */
static void
cpu_run(struct mon_cpu *c)
{
	struct mon *m = c->mon;
	uint16_t irq = cpu_interrupt(c);
	int error;

	c->in_run = true;
	pthread_mutex_unlock(&m->lock);
	error = client_run(&c->v, irq);
	pthread_mutex_lock(&m->lock);
	c->in_run = false;
	give_way(m);
	if (error != 0)
		cpu_failed(c, error);
	else
		cpu_exit(c);
}

static void *
cpu_main(void *arg)
{
	struct mon_cpu *c = arg;
	struct mon *m = c->mon;

	pthread_mutex_lock(&m->lock);
	while (m->state != MON_END) {
		if (m->state != MON_RUN || !c->on) {
			c->parked = true;
			pthread_cond_broadcast(&m->idle);
			pthread_cond_wait(&c->wake, &m->lock);
			continue;
		}
		c->parked = false;
		if (c->halted && !(m->irq && c->v.vcpu == 0)) {
			pthread_cond_wait(&c->wake, &m->lock);
			continue;
		}
		c->halted = false;
		cpu_run(c);
	}
	c->parked = true;
	pthread_cond_broadcast(&m->idle);
	pthread_mutex_unlock(&m->lock);
	return (NULL);
}

/*
 * --- The VM. ---
 */

static void
kicked(int sig)
{
	(void)sig;
}

/* All VCPUs parked: start over. Lock held. */
static void
restart(struct mon *m)
{
	unsigned int i;

	park(m);
	if (m->state == MON_END)
		return;
	for (i = 0; i < m->ncpus; i++) {
		m->cpu[i].halted = false;
		m->cpu[i].v.run.vrp_irqready = 0;
	}
	if (machine_boot(m) != 0)
		mon_finish(m, END_FAILED);
	else if (m->state == MON_RESET)	/* and not the end */
		m->state = m->paused ? MON_PAUSE : MON_RUN;
	wake_all(m);
}

/* Has somebody ended the VM by TERM? A VCPU that stands still is not told. */
static void
look(struct mon *m)
{
	if (client_ioc_intr(m->fd, m->id, 0, m->cpu[0].intr) == ENOENT)
		mon_finish(m, END_STOPPED);
}

/* The device thread: timers, work, and what the VM is to do. Lock held. */
static void
device_main(struct mon *m)
{
	uint64_t now = mon_now(m), seen = now, next,
	    stop = m->config->seconds == 0 ? TIME_NEVER :
	    now + m->config->seconds * SECOND_NS;

	for (;;) {
		give_way(m);
		if (m->state == MON_END)
			break;
		if (m->state == MON_RESET)
			restart(m);
		timers_run(&m->timers);
		now = mon_now(m);
		if (stop <= now) {
			mon_finish(m, END_TIME);
			break;
		}
		if (now - seen >= SECOND_NS) {
			seen = now;
			look(m);
			continue;
		}
		if (m->busy) {
			m->busy = false;
			machine_work(m);
			pthread_mutex_unlock(&m->lock);	/* VCPUs too */
			pthread_mutex_lock(&m->lock);
			continue;
		}
		next = timers_next(&m->timers);
		next = next < stop ? next : stop;
		wait_until(m, &m->work, next < seen + SECOND_NS ? next :
		    seen + SECOND_NS);
	}
}

enum mon_end
mon_run(struct mon *m)
{
	struct sigaction sa = { .sa_handler = kicked };
	unsigned int i, n;

	sigaction(KICK, &sa, NULL);
	pthread_mutex_lock(&m->lock);
	for (n = 0; n < m->ncpus && m->state != MON_END; n++)
		if (pthread_create(&m->cpu[n].thread, NULL, cpu_main,
		    &m->cpu[n]) != 0) {
			ctl_error(0, "no thread for vcpu %u; -s fewer", n);
			mon_finish(m, END_FAILED);
			break;
		}
	device_main(m);
	for (; n < m->ncpus; n++)
		m->cpu[n].parked = true;
	park(m);
	wake_all(m);			/* those that were parked before */
	pthread_mutex_unlock(&m->lock);
	for (i = 0; i < m->ncpus; i++)
		if (m->cpu[i].thread != 0)
			pthread_join(m->cpu[i].thread, NULL);
	return (m->end);
}

/* Guest memory, around the hole. */
static int
memory_create(struct mon *m)
{
	uint64_t size = m->config->memory, low = size < LOW_MAX ? size :
	    LOW_MAX;
	uint8_t *host;

	/* Aligned as large pages want it. */
	host = mmap(NULL, size + 2 * CLIENT_MIB, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (host == MAP_FAILED)
		return (ctl_error(CTL_FAIL, "no %llu MiB of memory: %s; -m "
		    "less", (unsigned long long)(size / CLIENT_MIB),
		    strerror(errno)));
	host += -(uintptr_t)host & (2 * CLIENT_MIB - 1);
	m->mem.range[0] = (struct mem_range){ 0, low, host };
	m->mem.n = 1;
	if (size <= low)
		return (CTL_OK);
	m->mem.range[1] = (struct mem_range){ HIGH_BASE, size - low,
	    host + low };
	m->mem.n = 2;
	return (CTL_OK);
}

static int
vm_create(struct mon *m)
{
	struct vm_create_params vcp;
	size_t i;
	int error;

	memset(&vcp, 0, sizeof(vcp));
	vcp.vcp_ncpus = m->config->ncpus;
	vcp.vcp_nmemranges = m->mem.n;
	for (i = 0; i < m->mem.n; i++) {
		vcp.vcp_memranges[i].vmr_gpa = m->mem.range[i].gpa;
		vcp.vcp_memranges[i].vmr_va =
		    (uintptr_t)m->mem.range[i].host;
		vcp.vcp_memranges[i].vmr_size = m->mem.range[i].size;
	}
	snprintf(vcp.vcp_name, sizeof(vcp.vcp_name), "%s", m->config->name);
	m->fd = client_open();
	if (m->fd < 0)
		return (ctl_error(CTL_FAIL, "/dev/vmm: %s; load the driver, "
		    "or be root", strerror(errno)));
	error = client_ioc_create(m->fd, &vcp);
	if (error != 0)
		return (ctl_error(CTL_FAIL, "CREATE: %s%s", strerror(error),
		    error == ENOMEM ? "; -m less, or raise the limit of "
		    "locked memory" : ""));
	m->id = vcp.vcp_id;
	return (CTL_OK);
}

int
mon_create(struct mon *m, const struct mon_config *config)
{
	unsigned int i;
	int status;

	memset(m, 0, sizeof(*m));
	m->config = config;
	m->fd = -1;
	m->start = monotonic();
	m->timers = (struct timers){ mon_now, m, timers_changed, NULL };
	m->ncpus = config->ncpus;
	pthread_mutex_init(&m->lock, NULL);
	cond_init(&m->work);
	cond_init(&m->idle);
	cond_init(&m->polite);
	for (i = 0; i < m->ncpus; i++)
		cond_init(&m->cpu[i].wake);
	if (memory_create(m) != CTL_OK || vm_create(m) != CTL_OK)
		return (CTL_FAIL);
	for (i = 0; i < m->ncpus; i++) {
		m->cpu[i].mon = m;
		m->cpu[i].v = (struct client_vm){
			.fd = m->fd,
			.id = m->id,
			.vcpu = i,
			.mem = m->mem.range[0].host,
			.size = m->mem.range[0].size,
			.nonce = m->start,	/* one for all */
		};
	}
	status = machine_create(m);
	if (status != CTL_OK)
		return (status);
	pthread_mutex_lock(&m->lock);
	status = machine_boot(m);
	pthread_mutex_unlock(&m->lock);
	return (status != CTL_OK ? status : machine_start(m));
}

/* The memory goes with the process. */
void
mon_destroy(struct mon *m)
{
	machine_destroy(m);
	if (m->id != 0)
		(void)client_ioc_term(m->fd, m->id);
}
