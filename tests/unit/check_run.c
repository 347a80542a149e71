/* SPDX-License-Identifier: ISC */
/*
 * check_run.c - RUN under random schedules and with other threads: no vector
 * lost or doubled (F18), no stop missed, no two threads in one VCPU.
 */
#include "unit.h"

#define EXIT_CPUID	0x72
#define EXIT_VMMCALL	0x81
#define EXIT_NPF	0x400
#define VINTR		0x64

static uint32_t id, seed;
static struct unit_run u;

static void
setup(void)
{
	unit_boot();
	fake_svm_set(FAKE_SVM_NP | FAKE_SVM_NRIPS, 16);
	unit_attach();
	id = unit_real_vm();
}

/* --- F18: random guests and clients --- */

static bool waiting[256];	/* handed over, not delivered yet */
static unsigned int given, seen, rounds;
static bool shadowed;

/* Deliveries since the last look, each of a vector that was waiting. */
static void
look(void)
{
	const struct fake_event *e;

	for (; seen < fake_nevents(); seen++) {
		e = fake_event(seen);
		if (e->type != EVENT_INTR)
			continue;
		ck_assert_msg(waiting[e->vector], "vector %#x twice",
		    e->vector);
		waiting[e->vector] = false;
		given--;
	}
}

/* What a guest may do next. */
static void
any_step(struct fake_guest *g, uint64_t arg)
{
	(void)arg;
	vmcb_set(g, VC_NRIP, vmcb_get(g, VS_RIP) + 2);
	if (shadowed) {		/* a shadow lasts one instruction */
		shadowed = false;
		vmcb_set(g, VC_SHADOW, 0);
	}
	switch (unit_random(&seed) % 13) {
	case 0:
	case 1:
	case 2:
		fake_do_set_if(g, 1);
		break;
	case 3:
		fake_do_set_if(g, 0);
		break;
	case 4:			/* STI: shadow */
		fake_do_set_if(g, 1);
		vmcb_set(g, VC_SHADOW, 1);
		shadowed = true;
		break;
	case 5:
		fake_exit(g, EXIT_VMMCALL, 0, 0);
		break;
	case 6:
		fake_exit(g, 0x60, 0, 0);
		break;
	case 7:
		fake_exit(g, 0x7f, 0, 0);
		break;
	case 8:			/* to the client by a port */
		fake_exit(g, 0x7b, 0x03f80010, vmcb_get(g, VC_NRIP));
		break;
	case 9:
		fake_access(g, unit_random(&seed) % (2 * MIB), NPT_W, NULL);
		break;
	case 10:
		if (unit_random(&seed) % 4 == 0)
			fake_lose_event(EXIT_NPF, 0x100000004,
			    unit_random(&seed) % (2 * MIB));
		fake_exit(g, 0x60, 0, 0);
		break;
	case 11:		/* #DB, of the guest or in a delivery */
		if (unit_random(&seed) % 2 == 0)
			fake_lose_event(0x41, 0, 0);
		else
			fake_exit(g, 0x41, 0, 0);
		break;
	default:
		fake_exit(g, EXIT_CPUID, 0, 0);
		break;
	}
}

/* Sets RIP back: the script executes no real instructions. */
static void
rewind_rip(void)
{
	struct vcpu *v = unit_vm(id)->vcpu[0];

	v->gpr[VCPU_REGS_RIP] = 0x1000;
}

/*
 * Clients that hand over vectors at any time, as long as the same one is not
 * waiting. Whatever happens between, in the end each was delivered once.
 */
START_TEST(f18_random)
{
	uint16_t irq;
	unsigned int i, max = 0;

	seed = 0x9e3779b9u + (uint32_t)_i * 7919;
	memset(waiting, 0, sizeof(waiting));
	given = seen = 0;
	shadowed = false;
	fake_step_default(any_step, 0);
	for (rounds = 0; rounds < 400; rounds++) {
		irq = NONE;
		if (unit_random(&seed) % 2 == 0) {
			i = unit_random(&seed) % 255 + 1;
			if (!waiting[i]) {
				waiting[i] = true;
				given++;
				irq = (uint16_t)i;
			}
		}
		if (unit_random(&seed) % 8 == 0)
			ck_assert_int_eq(unit_intr(id, 0,
			    unit_random(&seed) % 2), 0);
		fake_cpu_set(unit_random(&seed) % 4);
		ck_assert_int_eq(unit_run(id, 0, irq, &u), 0);
		look();
		if (given > max)
			max = given;
		ck_assert_msg(given == 0 || u.irqready == 0,
		    "irqready with %u waiting", given);
		rewind_rip();
	}
	ck_assert_uint_gt(max, 1);	/* the schedule did something */
	ck_assert_int_eq(unit_intr(id, 0, 0), 0);
	for (i = 0; i < 2000 && given > 0; i++) {
		ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
		look();
		rewind_rip();
	}
	ck_assert_uint_eq(given, 0);
	ck_assert(!vcpu_irq_waiting(unit_vm(id)->vcpu[0]));
}
END_TEST

/* Of those waiting, the highest comes first, when nothing interferes. */
START_TEST(f18_order)
{
	unsigned int i, n, last, v[20];

	seed = 12345u + (uint32_t)_i;
	for (i = 0; i < 20; i++) {
		v[i] = unit_random(&seed) % 255 + 1;
		STEP_SHUTDOWN();
		ck_assert_int_eq(unit_run(id, 0, (uint16_t)v[i], &u), 0);
	}
	fake_step_default(fake_do_set_if, 1);
	for (i = 0; i < 20; i++)
		fake_step(fake_do_set_if, 1);
	STEP_SHUTDOWN();
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	n = fake_nevents();
	last = 256;
	for (i = 0; i < n; i++) {
		ck_assert_uint_lt(fake_event(i)->vector, last);
		last = fake_event(i)->vector;
	}
	for (i = 0; i < 20; i++) {	/* a set: twice the same is once */
		for (n = 0; fake_event(n)->vector != v[i]; n++)
			continue;
	}
}
END_TEST

/* --- Other threads --- */

struct client {
	pthread_t	 thread;
	unsigned int	 cpu;
	int		 stop;		/* atomic */
	int		 runs, terminated, enoent, busy, other;
	struct fake_thread *self;	/* atomic */
};

/* A client's loop: RUN until the VM is gone. */
static void *
run_loop(void *arg)
{
	struct client *c = arg;
	struct unit_run r;
	int error;

	fake_cpu_set(c->cpu);
	__atomic_store_n(&c->self, fake_self(), __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&c->stop, __ATOMIC_SEQ_CST)) {
		error = unit_run(id, 0, NONE, &r);
		if (error == ENOENT) {
			c->enoent++;
			break;
		}
		if (error == EBUSY) {
			c->busy++;
			sched_yield();
			continue;
		}
		if (error != 0) {
			c->other = error;
			break;
		}
		c->runs++;
		if (r.reason == VM_EXIT_TERMINATED)
			c->terminated++;
	}
	return (NULL);
}

static void
start(struct client *c, unsigned int cpu)
{
	memset(c, 0, sizeof(*c));
	c->cpu = cpu;
	ck_assert_int_eq(pthread_create(&c->thread, NULL, run_loop, c), 0);
	while (__atomic_load_n(&c->self, __ATOMIC_SEQ_CST) == NULL)
		sched_yield();
}

static void
join(struct client *c)
{
	ck_assert_int_eq(pthread_join(c->thread, NULL), 0);
	ck_assert_int_eq(c->other, 0);
}

/*
 * A guest that never exits by itself. TERM comes at any moment: the thread in
 * RUN always comes back, with VM_EXIT_TERMINATED or with ENOENT after it.
 */
START_TEST(term_any_time)
{
	struct client c;
	int i, spin;

	fake_step_default(fake_do_spin, 0);
	seed = 777;
	for (i = 0; i < 60; i++) {
		start(&c, 1);
		for (spin = unit_random(&seed) % 200; spin > 0; spin--)
			sched_yield();
		ck_assert_int_eq(unit_term(id), 0);
		join(&c);
		ck_assert_int_eq(c.enoent, 1);
		ck_assert_int_le(c.terminated, 1);
		ck_assert_uint_eq(fake_charged(), 0);
		fake_cpu_check_clean();
		id = unit_real_vm();
	}
}
END_TEST

/* INTR at any moment is seen: RUN comes back each time it was asked to. */
START_TEST(intr_any_time)
{
	struct vcpu_reg_state r;
	struct unit_runner t;
	int i, spin;

	unit_real(&r);
	r.vrs_gprs[VCPU_REGS_RFLAGS] = 0x202;
	ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	fake_step_default(unit_spin, 0);
	seed = 4711;
	for (i = 0; i < 60; i++) {
		ck_assert_int_eq(unit_intr(id, 0, 0), 0);
		unit_start(&t, id, 0, i & 3);
		for (spin = unit_random(&seed) % 100; spin > 0; spin--)
			sched_yield();
		ck_assert_int_eq(unit_intr(id, 0, 1), 0);
		ck_assert_int_eq(unit_join(&t), 0);
		ck_assert_uint_eq(t.run.reason, VINTR);
	}
}
END_TEST

/* Two threads on one VCPU: one is in, the other gets EBUSY. */
START_TEST(two_threads_one_vcpu)
{
	struct client a, b;

	fake_step_default(fake_do_exit, 0x7f);
	start(&a, 1);
	start(&b, 2);
	while (fake_vmruns() < 400)
		sched_yield();
	ck_assert_int_eq(unit_term(id), 0);
	join(&a);
	join(&b);
	ck_assert_int_eq(a.enoent + b.enoent, 2);
	ck_assert_int_ge(a.runs + b.runs, 399);
}
END_TEST

/* INFO, READREGS, MPROTECT_EPT, CREATE and TERM beside a guest that runs. */
START_TEST(beside_running)
{
	struct vcpu_reg_state r;
	struct client c;
	uint32_t other;
	int i;

	fake_step_default(fake_do_exit, 0x7f);
	start(&c, 1);
	for (i = 0; i < 100; i++) {
		(void)unit_state(id, 0);
		(void)unit_read(id, 0, VM_RWREGS_ALL, &r);
		(void)unit_protect(id, 0x3000, 0x1000, 1 + i % 2 * 4);
		other = unit_create(2 * MIB, 1);
		ck_assert_int_eq(unit_term(other), 0);
	}
	ck_assert_int_eq(unit_term(id), 0);
	join(&c);
}
END_TEST

/* Two VMs of one client, and TERM of one while the other runs. */
START_TEST(other_vm_unharmed)
{
	struct unit_runner a, b;
	struct vcpu_reg_state r;
	uint32_t id2 = unit_create(2 * MIB, 1);

	unit_real(&r);
	ck_assert_int_eq(unit_reset(id2, 0, &r), 0);
	fake_step_default(unit_spin, 0);
	unit_start(&a, id, 0, 1);
	unit_start(&b, id2, 0, 2);
	ck_assert_int_eq(unit_term(id), 0);
	ck_assert_int_eq(unit_join(&a), 0);
	ck_assert_uint_eq(a.run.reason, VM_EXIT_TERMINATED);
	ck_assert_uint_eq(unit_state(id2, 0), VCPU_STATE_RUNNING);
	fake_signal(b.self);
	ck_assert_int_eq(unit_join(&b), 0);
	ck_assert_uint_eq(b.run.reason, VM_EXIT_NONE);
}
END_TEST

/* 100,000 resets, as F5 has it: no ASID, page or allocation is used up. */
START_TEST(f5_many_resets)
{
	struct vcpu_reg_state r;
	uint64_t pages = fake_kernel_pages(), allocs = fake_allocs();
	int i;

	unit_real(&r);
	for (i = 0; i < 100000; i++)
		ck_assert_int_eq(unit_reset(id, 0, &r), 0);
	STEP_SHUTDOWN();
	ck_assert_int_eq(unit_run(id, 0, NONE, &u), 0);
	ck_assert_uint_eq(fake_kernel_pages(), pages);
	ck_assert_uint_eq(fake_allocs(), allocs);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("run");
	TCase *tc = tcase_create("run");

	tcase_add_checked_fixture(tc, setup, unit_detach);
	suite_add_tcase(s, tc);
	tcase_add_loop_test(tc, f18_random, 0, 40);
	tcase_add_loop_test(tc, f18_order, 0, 10);
	tcase_add_test(tc, term_any_time);
	tcase_add_test(tc, intr_any_time);
	tcase_add_test(tc, two_threads_one_vcpu);
	tcase_add_test(tc, beside_running);
	tcase_add_test(tc, other_vm_unharmed);
	tcase_add_test(tc, f5_many_resets);
	return (s);
}
