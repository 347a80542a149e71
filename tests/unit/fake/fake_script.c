/* SPDX-License-Identifier: ISC */
/*
 * fake_script.c - what the guests of both vendors do: queued steps, and the
 * record of the events that reached them.
 */
#include <unistd.h>

#include "fake_cpu.h"
#include "fake_priv.h"

#define NSTEPS		4096
#define NEVENTS		4096

struct step {
	fake_step_fn	*fn;
	uint64_t	 arg;
};

static struct step	 queue[NSTEPS];
static unsigned int	 qhead, qtail;
static struct step	 standing;
static struct fake_event events[NEVENTS];
static unsigned int	 nevents;
static uint64_t		 vmruns;
static struct fake_guest last;
static bool		 allow_bad_intr;
static const char	*refused;
static pthread_mutex_t	 lock = PTHREAD_MUTEX_INITIALIZER;

void
fake_script_reset(void)
{
	qhead = qtail = 0;
	standing.fn = NULL;
	nevents = 0;
	vmruns = 0;
	memset(&last, 0, sizeof(last));
	allow_bad_intr = false;
	refused = NULL;
}

/* --- Steps --- */

void
fake_step(fake_step_fn *fn, uint64_t arg)
{
	pthread_mutex_lock(&lock);
	if (qtail - qhead == NSTEPS)
		fake_die("too many guest steps");
	queue[qtail++ % NSTEPS] = (struct step){ fn, arg };
	pthread_mutex_unlock(&lock);
}

void
fake_step_default(fake_step_fn *fn, uint64_t arg)
{
	standing = (struct step){ fn, arg };
}

/* The queued step that is being played comes once more, first. */
void
fake_step_again(void)
{
	pthread_mutex_lock(&lock);
	if (qhead == 0)
		fake_die("no step to repeat");
	qhead--;
	pthread_mutex_unlock(&lock);
}

void
fake_steps_clear(void)
{
	pthread_mutex_lock(&lock);
	qhead = qtail;
	pthread_mutex_unlock(&lock);
}

unsigned int
fake_steps_left(void)
{
	return (qtail - qhead);
}

void
fake_step_play(struct fake_guest *g)
{
	struct step s;

	pthread_mutex_lock(&lock);
	if (qhead != qtail)
		s = queue[qhead++ % NSTEPS];
	else if (standing.fn != NULL)
		s = standing;
	else
		fake_die("entry with no guest step left");
	pthread_mutex_unlock(&lock);
	s.fn(g, s.arg);
}

/* A moment of a guest that spins; one that nobody ever stops is a failure. */
void
fake_relax(unsigned int *n)
{
	usleep(20);
	if (++*n > 100000)
		fake_die("the guest spins and nothing stops it");
}

/* --- Entries --- */

uint64_t
fake_vmruns(void)
{
	return (__atomic_load_n(&vmruns, __ATOMIC_SEQ_CST));
}

struct fake_guest *
fake_last(void)
{
	return (&last);
}

void
fake_ran(const struct fake_guest *g)
{
	__atomic_add_fetch(&vmruns, 1, __ATOMIC_SEQ_CST);
	last = *g;
}

void
fake_refuse(const char *why)
{
	refused = why;
}

const char *
fake_refused(void)
{
	return (refused);
}

/* --- Events --- */

unsigned int
fake_nevents(void)
{
	return (nevents);
}

const struct fake_event *
fake_event(unsigned int i)
{
	if (i >= nevents)
		fake_die("no event %u", i);
	return (&events[i]);
}

void
fake_events_clear(void)
{
	nevents = 0;
}

void
fake_allow_bad_intr(bool on)
{
	allow_bad_intr = on;
}

bool
fake_bad_intr_allowed(void)
{
	return (allow_bad_intr);
}

/* Both vendors: vector, type in bits 8-10, an error code in bit 11. */
void
fake_event_add(uint32_t info, uint32_t error, uint64_t rip)
{
	struct fake_event *e;

	pthread_mutex_lock(&lock);
	if (nevents == NEVENTS)
		fake_die("too many events");
	e = &events[nevents++];
	e->type = info >> 8 & 7;
	e->vector = (uint8_t)info;
	e->has_error = (info & 0x800) != 0;
	e->error = error;
	e->rip = rip;
	pthread_mutex_unlock(&lock);
}
