/* SPDX-License-Identifier: ISC */
/*
 * check_mon.c - what a VM's threads do at its exits: a driver that is a script
 * of exits, and a PIC that has vector 0x30 whenever its output is on.
 */
#include "dev_unit.h"
#include "../../../src/vmctl/mon.c"

#define VECTOR		0x30
#define STEPS_MAX	16

/* What one RUN must bring along, and what it comes back with. */
struct step {
	uint16_t		 irq;
	enum client_event	 event;
	bool			 ready;		/* vrp_irqready */
	bool			 raise;		/* the PIC's output */
	bool			 stuck;		/* inside, until a signal */
	int			 error;
};

static struct mon mon;
static const struct step *step;
static atomic_uint runs;
static unsigned int boots, intrs;
static uint16_t intr[STEPS_MAX];
static bool gone;			/* there is no such VM any more */
static uint64_t at[STEPS_MAX];		/* ns of the VM, of each RUN */
static struct timer timer;
static uint64_t timer_at;
static struct mon_config config;

/*
 * --- The driver. ---
 */
int
client_run(struct client_vm *v, uint16_t irq)
{
	const struct step *s = step;

	ck_assert_uint_lt(runs, STEPS_MAX);
	ck_assert(!mon.cpu[0].parked);
	at[runs++] = mon_now(&mon);
	ck_assert_msg(irq == s->irq, "RUN %u brings %#x, not %#x", runs, irq,
	    s->irq);
	if (s->raise) {
		pthread_mutex_lock(&mon.lock);
		mon_irq(&mon, 0, true);
		pthread_mutex_unlock(&mon.lock);
	}
	if (s->stuck)
		nanosleep(&(struct timespec){ .tv_sec = 30 }, NULL);
	v->run.vrp_irqready = s->ready;
	return (s->error);
}

/* Of the last RUN; the next one is the next step, but for the last of all. */
enum client_event
client_event(const struct client_vm *v)
{
	ck_assert_ptr_eq(v, &mon.cpu[0].v);
	return (step++->event);
}

int
client_ioc_intr(int fd, uint32_t vm, uint32_t vcpu, uint16_t level)
{
	ck_assert(fd == mon.fd && vm == mon.id && vcpu == 0);
	ck_assert_uint_lt(intrs, STEPS_MAX);
	intr[intrs++] = level;
	return (gone ? ENOENT : 0);
}

int
client_open(void)
{
	return (7);
}

int
client_ioc_create(int fd, struct vm_create_params *vcp)
{
	ck_assert_int_eq(fd, 7);
	ck_assert_uint_eq(vcp->vcp_nmemranges, 1);
	ck_assert_uint_eq(vcp->vcp_memranges[0].vmr_size, config.memory);
	vcp->vcp_id = 4711;
	return (0);
}

int
client_ioc_term(int fd, uint32_t vm)
{
	(void)fd;
	(void)vm;
	return (0);
}

void
client_answer(struct client_vm *v, uint32_t data)
{
	(void)v;
	(void)data;
}

/*
 * --- The machine. ---
 */
static void
timer_fires(void *arg)
{
	mon_irq(arg, 0, true);
}

int
machine_create(struct mon *m)
{
	timer_init(&timer, timer_fires, m);
	if (timer_at != 0)
		timer_arm(&m->timers, &timer, timer_at);
	return (CTL_OK);
}

int
machine_boot(struct mon *m)
{
	boots++;
	m->cpu[0].on = true;
	return (CTL_OK);
}

int
machine_start(struct mon *m)
{
	(void)m;
	return (CTL_OK);
}

void
machine_destroy(struct mon *m)
{
	(void)m;
}

uint8_t
machine_ack(struct mon *m)
{
	ck_assert(m->irq);
	mon_irq(m, 0, false);
	return (VECTOR);
}

bool
machine_put(struct mon *m, uint8_t byte)
{
	(void)m;
	(void)byte;
	return (true);
}

void
machine_work(struct mon *m)
{
	(void)m;
}

/*
 * --- The tests. ---
 */
static void
setup(void)
{
	unit_start();
	config = (struct mon_config){
		.name = "it",
		.ncpus = 1,
		.memory = CLIENT_MIB,
		.seconds = 5,		/* a test that sleeps fails so */
	};
}

static enum mon_end
play(const struct step *script)
{
	step = script;
	ck_assert_int_eq(mon_create(&mon, &config), CTL_OK);
	return (mon_run(&mon));
}

static void
intrs_are(unsigned int n, const uint16_t *level)
{
	ck_assert_uint_eq(intrs, n);
	ck_assert_mem_eq(intr, level, n * sizeof(*level));
}

/* EIO: a HLT that nothing can end. */
#define OFF	{ NO_IRQ, .error = EIO }

/* The PIC's output, raised while a RUN goes on that could take a vector. */
START_TEST(vector_when_ready)
{
	static const struct step script[] = {
		{ NO_IRQ, .event = CLIENT_NONE, .ready = true, .raise = true },
		{ VECTOR, .event = CLIENT_NONE, .ready = true },
		OFF,
	};

	ck_assert_int_eq(play(script), END_HALTED);
	ck_assert_uint_eq(runs, 3);
	intrs_are(2, (uint16_t[]){ 1, 0 });	/* out of the RUN, once */
}
END_TEST

/* INTR says that one waits, until the window is open. */
START_TEST(window)
{
	static const struct step script[] = {
		{ NO_IRQ, .event = CLIENT_NONE, .ready = false, .raise = true },
		{ NO_IRQ, .event = CLIENT_NONE, .ready = false },
		{ NO_IRQ, .event = CLIENT_WINDOW, .ready = true },
		{ VECTOR, .event = CLIENT_NONE, .ready = true },
		OFF,
	};

	ck_assert_int_eq(play(script), END_HALTED);
	ck_assert_uint_eq(runs, 5);
	intrs_are(2, (uint16_t[]){ 1, 0 });
}
END_TEST

/* HLT sleeps till the PIC's output is on, as a timer of the machine has it. */
START_TEST(hlt_sleeps)
{
	static const struct step script[] = {
		{ NO_IRQ, .event = CLIENT_HLT, .ready = true },
		{ VECTOR, .event = CLIENT_NONE, .ready = true },
		OFF,
	};

	timer_at = 100000000;
	ck_assert_int_eq(play(script), END_HALTED);
	ck_assert_uint_eq(runs, 3);
	ck_assert_uint_ge(at[1], timer_at);
	ck_assert_uint_lt(at[0], timer_at);
	ck_assert_uint_eq(intrs, 0);
}
END_TEST

/*
 * Brought by a RUN that began behind STI, the vector waits in the driver; the
 * PIC has nothing more to say. To sleep would be to sleep for ever.
 */
START_TEST(hlt_with_a_vector_in_the_driver)
{
	static const struct step script[] = {
		{ NO_IRQ, .event = CLIENT_NONE, .ready = true, .raise = true },
		{ VECTOR, .event = CLIENT_HLT, .ready = false },
		OFF,
	};

	ck_assert_int_eq(play(script), END_HALTED);
	ck_assert_uint_eq(runs, 3);
}
END_TEST

START_TEST(triple_fault)
{
	static const struct step script[] = {
		{ NO_IRQ, .event = CLIENT_NONE, .ready = true },
		{ NO_IRQ, .event = CLIENT_SHUTDOWN, .ready = true },
		OFF,
	};

	ck_assert_int_eq(play(script), END_HALTED);
	ck_assert_uint_eq(boots, 2);
	ck_assert_uint_eq(runs, 3);
}
END_TEST

static const struct {
	struct step	 s;
	enum mon_end	 end;
	const char	*told;
} ends[] = {
	{ OFF, END_HALTED, "" },
	{ { NO_IRQ, .error = ENOENT }, END_STOPPED, "" },
	{ { NO_IRQ, .event = CLIENT_TERMINATED }, END_STOPPED, "" },
	{ { NO_IRQ, .error = EINVAL }, END_FAILED,
	    "it: vcpu 0: RUN: Invalid argument; the host's log says why" },
	{ { NO_IRQ, .event = CLIENT_PROTECT }, END_FAILED,
	    "it: vcpu 0: exit 0, which the monitor has no answer to" },
	{ { NO_IRQ, .event = CLIENT_HLT, .ready = true }, END_TIME, "" },
};

START_TEST(end)
{
	config.seconds = 1;
	ck_assert_int_eq(play(&ends[_i].s), ends[_i].end);
	ck_assert_str_eq(unit_told, ends[_i].told);
	ck_assert_uint_eq(runs, 1);
}
END_TEST

/* Nothing else would tell a VCPU that halts; a second is soon enough. */
START_TEST(term_of_a_halted_guest)
{
	static const struct step script[] = {
		{ NO_IRQ, .event = CLIENT_HLT, .ready = true },
	};

	gone = true;
	ck_assert_int_eq(play(script), END_STOPPED);
	ck_assert_uint_eq(runs, 1);
	ck_assert_uint_lt(mon_now(&mon), 3 * SECOND_NS);
}
END_TEST

static void *
pauses(void *arg)
{
	bool *done = arg;
	unsigned int before;

	while (runs == 0)
		sched_yield();
	ck_assert(mon_pause(&mon, true));
	before = runs;
	nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
	ck_assert_uint_eq(runs, before);
	*done = mon_pause(&mon, false);
	return (NULL);
}

/* A VCPU that never leaves RUN stands still all the same, and goes on. */
START_TEST(pause_of_a_spinning_guest)
{
	static const struct step script[] = {
		{ NO_IRQ, .event = CLIENT_NONE, .stuck = true },
		{ NO_IRQ, .event = CLIENT_NONE },
		OFF,
	};
	static bool done;
	pthread_t t;

	ck_assert_int_eq(pthread_create(&t, NULL, pauses, &done), 0);
	ck_assert_int_eq(play(script), END_HALTED);
	ck_assert_int_eq(pthread_join(t, NULL), 0);
	ck_assert(done);
	ck_assert_uint_eq(runs, 3);
}
END_TEST

int
main(void)
{
	TCase *tc = unit_case("mon", setup);

	tcase_add_test(tc, vector_when_ready);
	tcase_add_test(tc, window);
	tcase_add_test(tc, hlt_sleeps);
	tcase_add_test(tc, hlt_with_a_vector_in_the_driver);
	tcase_add_test(tc, triple_fault);
	tcase_add_loop_test(tc, end, 0, sizeof(ends) / sizeof(ends[0]));
	tcase_add_test(tc, term_of_a_halted_guest);
	tcase_add_test(tc, pause_of_a_spinning_guest);
	return (unit_end());
}
