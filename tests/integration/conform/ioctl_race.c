/* SPDX-License-Identifier: ISC */
/*
 * ioctl_race.c - threads that are in each other's way. What each of them may
 * meet is said; how often, is not. All do a fixed number of rounds.
 */
#include <sched.h>

#include "ioctl_util.h"

#define ROUNDS	200

/*
 * A TERM that comes between a call's look for the VM and its look at the VCPU
 * leaves the second of them a TERMINATED one: EBUSY, where the next is ENOENT.
 */
static struct client_vm *hammered;
static volatile int hammers;

static void
hammer_regs(void *arg)
{
	struct vcpu_reg_state rs;
	int i, error;

	(void)arg;
	memset(&rs, 0, sizeof(rs));
	for (i = 0; i < ROUNDS; i++) {
		error = client_ioc_readregs(hammered->fd, hammered->id, 0,
		    VM_RWREGS_ALL, &rs);
		CHECK(error == 0 || error == EBUSY || error == ENOENT);
	}
	hammers++;
}

static void
hammer_intr(void *arg)
{
	int i, error;

	(void)arg;
	for (i = 0; i < ROUNDS; i++) {
		error = client_ioc_intr(hammered->fd, hammered->id, 0, i & 1);
		CHECK(error == 0 || error == ENOENT);
	}
	hammers++;
}

static void
hammer_info(void *arg)
{
	int i, state;

	(void)arg;
	for (i = 0; i < ROUNDS; i++) {
		state = vcpu_state(hammered->id, 0);
		CHECK(state == VCPU_STATE_RUNNING ||
		    state == VCPU_STATE_STOPPED ||
		    state == VCPU_STATE_UNKNOWN);
	}
	hammers++;
}

static void
hammer_protect(void *arg)
{
	int i, error;

	(void)arg;
	for (i = 0; i < ROUNDS; i++) {
		error = client_ioc_mprotect(hammered->fd, hammered->id, 1,
		    0x90000 + (uint64_t)(i % 8) * PAGE, PAGE, 1 + (i & 4));
		CHECK(error == 0 || error == EBUSY || error == ENOENT);
	}
	hammers++;
}

/* Runs until TERM; what else stops it is only an interruption. */
static void
hammer_run(void *arg)
{
	struct vm_run_params *run = arg;
	struct vm_exit exit;
	int error;

	do {
		memset(run, 0, sizeof(*run));
		run->vrp_vm_id = hammered->id;
		run->vrp_irq = NO_IRQ;
		run->vrp_exit = &exit;
		error = client_ioc_run(hammered->fd, run);
		CHECK(error == 0 || error == EBUSY || error == ENOENT);
	} while (error == 0 && run->vrp_exit_reason != VM_EXIT_TERMINATED);
}

static void
hammer(void)
{
	static void (*const all[])(void *) = {
		hammer_regs, hammer_intr, hammer_info, hammer_protect,
		hammer_regs, hammer_intr, hammer_info, hammer_protect,
	};
	struct vm_run_params run;
	size_t i, round;
	int t[NELEM(all)], runner;

	for (round = 0; round < 3; round++) {
		hammered = new_started(code_sti_spin, sizeof(code_sti_spin),
		    2);
		hammers = 0;
		runner = spawn(hammer_run, &run);
		for (i = 0; i < NELEM(all); i++)
			t[i] = spawn(all[i], NULL);
		/* TERM in the middle of it all, then at the end of it. */
		if (round == 0)
			CHECK_EQ(client_ioc_term(hammered->fd, hammered->id),
			    0);
		for (i = 0; i < NELEM(all); i++)
			join(t[i]);
		CHECK_EQ(hammers, NELEM(all));
		if (round != 0)
			CHECK_EQ(client_ioc_term(hammered->fd, hammered->id),
			    0);
		join(runner);
	}
}

/* --- One VCPU, several threads: one runs it, the others are told. --- */

static struct client_vm *contested;
static volatile uint32_t ran;

static void
contend_main(void *arg)
{
	struct client_vm v = *contested;
	int i, error;

	(void)arg;
	for (i = 0; i < ROUNDS;) {
		error = client_run(&v, NO_IRQ);
		if (error == 0) {
			CHECK_EQ(client_event(&v), CLIENT_IO);
			__atomic_add_fetch(&ran, 1, __ATOMIC_SEQ_CST);
			i++;
		} else {
			CHECK_EQ(error, EBUSY);
			sched_yield();
		}
	}
}

/* The guest counts its exits: each RUN that succeeded was one, no more. */
static void
contend(void)
{
	static const uint8_t count[] = { 0x40, 0xe7, 0x20, 0xeb, 0xfb };
	struct vcpu_reg_state rs;
	int t[6];
	size_t i;

	contested = new_started(count, sizeof(count), 1);
	ran = 0;
	for (i = 0; i < NELEM(t); i++)
		t[i] = spawn(contend_main, NULL);
	for (i = 0; i < NELEM(t); i++)
		join(t[i]);
	get_regs(contested, &rs);
	CHECK_EQ(ran, NELEM(t) * ROUNDS);
	CHECK_EQ(rs.vrs_gprs[VCPU_REGS_RAX], ran & 0xffff);
}

/* --- Several threads end one VM: one of them does. --- */

static volatile uint32_t ended;

static void
end_main(void *arg)
{
	int error;

	(void)arg;
	error = client_ioc_term(contested->fd, contested->id);
	if (error == 0)
		__atomic_add_fetch(&ended, 1, __ATOMIC_SEQ_CST);
	else
		CHECK_EQ(error, ENOENT);
}

static void
end_once(void)
{
	int t[6], round;
	struct bg r;
	size_t i;

	for (round = 0; round < 8; round++) {
		contested = new_started(code_spin, sizeof(code_spin), 1);
		ended = 0;
		if (round % 2 == 0)
			bg_start(&r, contested, 0);
		for (i = 0; i < NELEM(t); i++)
			t[i] = spawn(end_main, NULL);
		for (i = 0; i < NELEM(t); i++)
			join(t[i]);
		CHECK_EQ(ended, 1);
		if (round % 2 == 0)
			bg_join(&r);
	}
	CHECK_EQ(vm_count(), 0);
}

/* --- Threads that make and end VMs of their own. --- */

static _Alignas(4096) uint8_t arena[CLIENT_MIB];

static void
make_main(void *arg)
{
	struct client_vm v = { .fd = conform_fd };
	struct vm_create_params vcp;
	struct vcpu_reg_state rs;
	uint32_t last = 0;
	int i;

	(void)arg;
	client_start_state(GUEST_REAL, &rs);
	for (i = 0; i < 30; i++) {
		fill_create(&vcp, 0, arena, sizeof(arena));
		CHECK_EQ(client_ioc_create(conform_fd, &vcp), 0);
		CHECK(vcp.vcp_id > last);
		last = v.id = vcp.vcp_id;
		rs.vrs_gprs[VCPU_REGS_RAX] = v.id;
		CHECK_EQ(client_ioc_resetcpu(v.fd, v.id, 0, &rs), 0);
		CHECK_EQ(client_run(&v, NO_IRQ), 0);
		CHECK_EQ(v.exit.vei.vei_data, v.id);
		CHECK_EQ(client_ioc_term(v.fd, v.id), 0);
		CHECK_EQ(client_run(&v, NO_IRQ), ENOENT);
	}
}

static void
make(void)
{
	int t[6];
	size_t i;

	memcpy(arena + GUEST_ENTRY, code_out, sizeof(code_out));
	for (i = 0; i < NELEM(t); i++)
		t[i] = spawn(make_main, NULL);
	for (i = 0; i < ROUNDS; i++)
		CHECK(vm_count() <= NELEM(t));
	for (i = 0; i < NELEM(t); i++)
		join(t[i]);
	CHECK_EQ(vm_count(), 0);
}

const struct clause ioctl_race[] = {
	ROW("3.0.hammer", "threads that hammer a running VM", MATCH, hammer),
	ROW("3.2.contend", "threads that RUN one VCPU: one does, the others "
	    "get EBUSY", MATCH, contend),
	ROW("3.4.once", "threads that TERM one VM: one does, the others get "
	    "ENOENT", MATCH, end_once),
	ROW("3.0.make", "threads that make and end VMs", MATCH, make),
	CLAUSE_END
};
