/* SPDX-License-Identifier: ISC */
/*
 * tour.c - `vmctl tour': every ioctl once, each with a guest that proves it.
 *
 * A row sees what it claims on both sides: what the guest reported, and what
 * the client finds in registers, memory or INFO. The nonce in the last column
 * is what the guest handed back, not what it was given.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tour.h"
#include "../../guests/guest.h"

#define MEMORY		(8 * CLIENT_MIB)
#define COUNT		0x700		/* of tour_guests.S */
#define VECTOR		0x30
#define PAGE		0x20000UL	/* free, clear of the image */
#define LOOPS		1000
#define PATIENCE	400000000UL	/* ns until a RUN is stuck */
#define SLACK		1000000		/* ns between two clocks */

/* Gives up the row, with the reason, when a step failed. */
#define TRY(step) do {							\
	const char *why_ = (step);					\
	if (why_ != NULL)						\
		return (why_);						\
} while (0)

/* Gives up the row unless `cond`. */
#define WANT(cond, why) do {						\
	if (!(cond))							\
		return (why);						\
} while (0)

/* One ioctl; what it costs is kept when it is the row's. */
#define TIMED(t, what, call) do {					\
	uint64_t start_ = client_tsc(), end_;				\
	int error_ = (call);						\
	end_ = client_tsc();						\
	if (strcmp(what, (t)->row->name) == 0)				\
		(t)->ticks = end_ - start_;				\
	TRY(failed(t, what, error_));					\
} while (0)

/* Guest `name`, loaded and reset, with two arguments. */
#define LOAD(t, name, a0, a1)						\
	TRY(load(t, name, name##_end - (name), a0, a1))

/* "RUN: Invalid argument" in the row's own buffer; NULL for 0. */
static const char *
failed(struct tour *t, const char *what, int error)
{
	if (error == 0)
		return (NULL);
	snprintf(t->why, sizeof(t->why), "%s: %s", what, strerror(error));
	return (t->why);
}

/* A VM, if the last row left none, and a guest at its start. */
static const char *
load(struct tour *t, const uint8_t *image, size_t len, uint64_t a0, uint64_t a1)
{
	uint64_t args[8] = { a0, a1 };
	int mode;

	if (t->v.id == 0)
		TRY(failed(t, "CREATE", client_create(t->fd, "tour", MEMORY, 1,
		    &t->v)));
	t->v.nonce = t->nonce;
	TRY(failed(t, "load", client_load(&t->v, image, len, args, &mode)));
	TIMED(t, "RESETCPU", client_start(&t->v, mode));
	return (NULL);
}

/* Counts the last exit by its kind. */
static void
count_exit(struct tour *t)
{
	enum client_event event = client_event(&t->v);

	t->exits[event]++;
	t->reasons[event] = t->v.run.vrp_exit_reason;
}

/* One RUN. */
static const char *
run(struct tour *t, uint16_t irq)
{
	if (t->first_run == 0) {
		t->first_ns = tour_ns();
		t->first_run = client_tsc();
	}
	TIMED(t, "RUN", client_run(&t->v, irq));
	count_exit(t);
	return (NULL);
}

/* Runs on, keeping what the guest reports, to any other exit than VALUE. */
static const char *
run_values(struct tour *t)
{
	const struct vm_exit_inout *vei = &t->v.exit.vei;

	for (;;) {
		TRY(run(t, 0xffff));
		if (client_event(&t->v) != CLIENT_IO ||
		    vei->vei_dir != VEI_DIR_OUT ||
		    vei->vei_port != GUEST_VALUE)
			return (NULL);
		WANT(t->nvals < TOUR_VALUES, "the guest reports too much");
		t->vals[t->nvals++] = vei->vei_data;
	}
}

/* Whether the guest is at its DONE, with this row's nonce. */
static const char *
done(struct tour *t)
{
	WANT(client_done(&t->v), "the guest did not hand back its nonce");
	t->got = t->v.exit.vei.vei_data;
	t->has_got = true;
	return (NULL);
}

/* To the end of a guest that reports `n` values. */
static const char *
finish(struct tour *t, size_t n)
{
	TRY(run_values(t));
	TRY(done(t));
	WANT(t->nvals == n, "the guest reported too few or too many values");
	return (NULL);
}

/* The row of INFO for the tour's VM; vir_id 0: it is not listed. */
static const char *
info(struct tour *t, struct vm_info_result *vir)
{
	struct vm_info_result rows[16];
	struct vm_info_params vip = {
		.vip_size = sizeof(rows),
		.vip_info = rows,
	};
	size_t i;

	memset(vir, 0, sizeof(*vir));
	TIMED(t, "INFO", client_ioc_info(t->fd, &vip));
	for (i = 0; i < vip.vip_info_ct; i++)
		if (rows[i].vir_id == t->v.id)
			*vir = rows[i];
	return (NULL);
}

/*
 * --- The rows, in the order of the table at the end. ---
 */
/* INFO lists it, in its size. */
static const char *
row_create(struct tour *t)
{
	struct vm_info_result vir;

	TIMED(t, "CREATE", client_create(t->fd, "tour", MEMORY, 1, &t->v));
	TRY(info(t, &vir));
	WANT(vir.vir_id == t->v.id, "INFO does not list the VM");
	WANT(vir.vir_ncpus == 1 && vir.vir_memory_size == MEMORY / CLIENT_MIB,
	    "INFO shows another size");
	snprintf(t->did, sizeof(t->did), "it is VM %u; %zu KiB resident",
	    t->v.id, vir.vir_used_size / 1024);
	return (NULL);
}

/* The guest finds itself in long mode. */
static const char *
row_resetcpu(struct tour *t)
{
	uint32_t *v = t->vals;

	LOAD(t, tour_reset, 0, 0);
	TRY(finish(t, 3));
	WANT((v[0] & 0x80000001) == 0x80000001, "no paging in the guest");
	WANT(v[1] == 0x500, "the guest is not in long mode");
	WANT(v[2] == GUEST_CS, "the guest has another CS");
	snprintf(t->did, sizeof(t->did),
	    "guest: CR0 %08x, EFER %x, CS %02x", v[0], v[1], v[2]);
	return (NULL);
}

/* CPUID stays in the driver; OUT, IN and HLT come here. */
static const char *
row_run(struct tour *t)
{
	uint32_t answer = ~t->nonce;

	LOAD(t, tour_run, 0, 0);
	TRY(run_values(t));
	WANT(client_event(&t->v) == CLIENT_IO &&
	    t->v.exit.vei.vei_dir == VEI_DIR_IN &&
	    t->v.exit.vei.vei_port == 0x510, "no exit for the guest's IN");
	client_answer(&t->v, answer);
	TRY(run_values(t));
	WANT(client_event(&t->v) == CLIENT_HLT, "no exit for the guest's HLT");
	TRY(finish(t, 2));
	WANT(memcmp(&t->vals[0], VMM_HV_SIGNATURE, 4) == 0,
	    "CPUID 0x40000000 does not name this interface");
	WANT(t->vals[1] == answer, "the guest read something else");
	snprintf(t->did, sizeof(t->did), "CPUID: \"%.4s\", IN: %08x, HLT",
	    VMM_HV_SIGNATURE, t->vals[1]);
	return (NULL);
}

/* The nonce comes back in a register, without any OUT. */
static const char *
row_readregs(struct tour *t)
{
	struct vcpu_reg_state vrs = { 0 };
	uint64_t *r = vrs.vrs_gprs;

	LOAD(t, tour_regs, 0, 0);
	TRY(run(t, 0xffff));
	TIMED(t, "READREGS", client_ioc_readregs(t->fd, t->v.id, 0,
	    VM_RWREGS_ALL, &vrs));
	WANT(r[VCPU_REGS_RCX] == (uint32_t)~r[VCPU_REGS_RBX],
	    "ECX is not what the guest put there");
	WANT(vrs.vrs_sregs[VCPU_REGS_CS].vsi_sel == GUEST_CS &&
	    r[VCPU_REGS_RIP] > GUEST_ENTRY, "CS:RIP is not in the guest");
	t->got = r[VCPU_REGS_RBX];
	t->has_got = true;
	snprintf(t->did, sizeof(t->did), "RIP %llx, EBX the nonce, ECX ~EBX",
	    (unsigned long long)r[VCPU_REGS_RIP]);
	return (NULL);
}

/* The guest goes on with another EBX, and reports it. */
static const char *
row_writeregs(struct tour *t)
{
	struct vcpu_reg_state vrs;
	uint32_t ebx = ~t->nonce;

	LOAD(t, tour_regs, 0, 0);
	TRY(run(t, 0xffff));
	t->nvals = 1;
	vrs = t->v.exit.vrs;
	vrs.vrs_gprs[VCPU_REGS_RBX] = ebx;
	TIMED(t, "WRITEREGS", client_ioc_writeregs(t->fd, t->v.id, 0,
	    VM_RWREGS_GPRS, &vrs));
	TRY(finish(t, 2));
	WANT(t->vals[1] == ebx, "the guest's EBX did not change");
	snprintf(t->did, sizeof(t->did), "guest: EBX is %08x now", t->vals[1]);
	return (NULL);
}

/* RUN in a thread of its own, while the tour does another ioctl. */
static void *
runner(void *arg)
{
	struct tour *t = arg;

	t->run_error = client_run(&t->v, 0xffff);
	atomic_store(&t->run_ended, true);
	return (NULL);
}

/* Until the guest counts, or the RUN ended; not for ever. Returns: ended. */
static bool
wait_run(struct tour *t, bool for_count)
{
	const struct timespec ms = { 0, 1000000 };
	volatile uint32_t *count = (void *)(t->v.mem + COUNT);
	uint64_t start = tour_ns();

	while (!atomic_load(&t->run_ended) && !(for_count && *count != 0) &&
	    tour_ns() - start < PATIENCE)
		nanosleep(&ms, NULL);
	return (atomic_load(&t->run_ended));
}

/*
 * Starts RUN of a guest that counts in memory for ever, does INTR (or TERM)
 * while it counts, and waits for RUN to return. If only TERM gets it to
 * return, the row has failed; if nothing does, this process could not end.
 */
static const char *
interrupt(struct tour *t, bool intr)
{
	bool ended;
	pthread_t thread;
	uint64_t start;
	uint32_t count;
	int error;

	atomic_store(&t->run_ended, false);
	TRY(failed(t, "thread", pthread_create(&thread, NULL, runner, t)));
	wait_run(t, true);
	start = client_tsc();
	error = intr ? client_ioc_intr(t->fd, t->v.id, 0, 1) :
	    client_ioc_term(t->fd, t->v.id);
	t->ticks = client_tsc() - start;
	ended = wait_run(t, false);
	if (!ended) {
		client_ioc_term(t->fd, t->v.id);
		if (!wait_run(t, false)) {
			ctl_error(CTL_FAIL, "%s: RUN never returned, so the "
			    "tour cannot go on", t->row->name);
			_Exit(CTL_FAIL);
		}
	}
	pthread_join(thread, NULL);
	WANT(ended, "RUN did not return; only TERM stopped it");
	TRY(failed(t, "RUN", t->run_error));
	TRY(failed(t, t->row->name, error));
	memcpy(&count, t->v.mem + COUNT, sizeof(count));
	WANT(count != 0, "the guest did not count");
	count_exit(t);
	return (NULL);
}

/* A guest that spins comes back, and takes the vector that waits. */
static const char *
row_intr(struct tour *t)
{
	char buf[32];
	uint32_t count;

	LOAD(t, tour_intr, 0, 0);
	TRY(interrupt(t, true));
	memcpy(&count, t->v.mem + COUNT, sizeof(count));
	WANT(client_event(&t->v) == CLIENT_WINDOW,
	    "RUN returned for another reason");
	WANT(t->v.run.vrp_irqready == 1, "the guest cannot take a vector");
	TRY(failed(t, "INTR", client_ioc_intr(t->fd, t->v.id, 0, 0)));
	TRY(run(t, VECTOR));
	TRY(done(t));
	snprintf(t->did, sizeof(t->did), "left at turn %s; took vector %02x",
	    show_commas(count, buf), VECTOR);
	return (NULL);
}

/* The guest reads the host's time by itself. */
static const char *
row_writevmparams(struct tour *t)
{
	struct vm_rwvmparams_params vpp = {
		.vpp_mask = VM_RWVMPARAMS_PVCLOCK_SYSTEM_GPA,
		.vpp_pvclock_system_gpa = PAGE | 1,
	};
	uint64_t before, after, first, second;
	char a[32], b[32];
	uint32_t *v = t->vals;

	LOAD(t, tour_clock, PAGE, 0);
	vpp.vpp_vm_id = t->v.id;
	TIMED(t, "WRITEVMPARAMS", client_ioc_writevmparams(t->fd, &vpp));
	before = tour_ns();
	TRY(finish(t, 5));
	after = tour_ns();
	first = v[1] | (uint64_t)v[2] << 32;
	second = v[3] | (uint64_t)v[4] << 32;
	WANT(v[0] != 0 && v[0] % 2 == 0, "the clock's version is odd or 0");
	WANT(second > first, "the guest's clock does not run");
	WANT(first + SLACK > before && second < after + SLACK,
	    "the guest's clock is not the host's");
	snprintf(t->did, sizeof(t->did), "guest: %s ns; then vmctl: %s",
	    show_commas(second, a), show_commas(after, b));
	return (NULL);
}

/* The guest set its clock by WRMSR; the client finds it. */
static const char *
row_readvmparams(struct tour *t)
{
	struct vm_rwvmparams_params vpp = { .vpp_mask = VM_RWVMPARAMS_ALL };
	uint64_t gpa = PAGE + 0x1000;

	LOAD(t, tour_msr, gpa, 0);
	TRY(finish(t, 1));
	vpp.vpp_vm_id = t->v.id;
	TIMED(t, "READVMPARAMS", client_ioc_readvmparams(t->fd, &vpp));
	WANT(vpp.vpp_pvclock_system_gpa == (gpa | 1),
	    "it is not where the guest put it");
	WANT(t->vals[0] == vpp.vpp_pvclock_version * 2,
	    "it is not the version that the guest saw");
	snprintf(t->did, sizeof(t->did), "at %llx, on, version %u",
	    (unsigned long long)gpa, vpp.vpp_pvclock_version);
	return (NULL);
}

/* A write exits and is not done; with all rights it is done again. */
static const char *
row_mprotect(struct tour *t)
{
	uint32_t old = ~t->nonce;
	unsigned long long rip;

	LOAD(t, tour_protect, PAGE, 0);
	memcpy(t->v.mem + PAGE, &old, sizeof(old));
	TIMED(t, "MPROTECT_EPT", client_ioc_mprotect(t->fd, t->v.id, 0, PAGE,
	    4096, 1));
	TRY(run_values(t));
	WANT(t->nvals == 1 && t->vals[0] == old, "the guest could not read");
	WANT(client_event(&t->v) == CLIENT_PROTECT &&
	    t->v.exit.vee.vee_fault_type == VEE_FAULT_PROTECT,
	    "the write did not exit");
	WANT(memcmp(t->v.mem + PAGE, &old, sizeof(old)) == 0,
	    "the write was done all the same");
	rip = t->v.exit.vrs.vrs_gprs[VCPU_REGS_RIP];
	TRY(failed(t, "MPROTECT_EPT", client_ioc_mprotect(t->fd, t->v.id, 0,
	    PAGE, 4096, 7)));
	TRY(run(t, 0xffff));
	TRY(done(t));
	snprintf(t->did, sizeof(t->did), "write at RIP %llx left, then passed",
	    rip);
	return (NULL);
}

/* Memory that the guest touches is counted. */
static const char *
row_info(struct tour *t)
{
	struct vm_info_result before, after;
	char a[32], b[32];

	LOAD(t, tour_touch, 2 * CLIENT_MIB, MEMORY);
	TRY(info(t, &before));
	TRY(finish(t, 0));
	TRY(info(t, &after));
	WANT(after.vir_id == t->v.id && strcmp(after.vir_name, "tour") == 0 &&
	    after.vir_vcpu_state[0] == VCPU_STATE_STOPPED,
	    "INFO does not list the VM as it is");
	WANT(after.vir_used_size >= before.vir_used_size + 3 * 4096,
	    "the guest touched memory and INFO did not see it");
	snprintf(t->did, sizeof(t->did), "\"%.8s\": %s KiB, after touch %s",
	    after.vir_name, show_commas(before.vir_used_size / 1024, a),
	    show_commas(after.vir_used_size / 1024, b));
	return (NULL);
}

/* RUN returns although the guest takes no interrupt. */
static const char *
row_term(struct tour *t)
{
	struct vm_info_result vir;

	LOAD(t, tour_term, 0, 0);
	TRY(run(t, 0xffff));
	TRY(done(t));
	TRY(interrupt(t, false));
	WANT(client_event(&t->v) == CLIENT_TERMINATED,
	    "RUN returned for another reason");
	TRY(info(t, &vir));
	WANT(vir.vir_id != t->v.id, "INFO still lists the VM");
	WANT(client_ioc_intr(t->fd, t->v.id, 0, 0) == ENOENT,
	    "the VM can still be found");
	snprintf(t->did, sizeof(t->did), "RUN ended; VM %u is unknown",
	    t->v.id);
	return (NULL);
}

/* Ticks of one exit, from a guest's own count of LOOPS of them. */
const char *
tour_cost(struct tour *t, bool out, uint64_t *ticks)
{
	int i;

	if (out) {
		LOAD(t, tour_out, LOOPS, 0);
		for (i = 0; i < LOOPS; i++) {
			TRY(failed(t, "RUN", client_run(&t->v, 0xffff)));
			WANT(t->v.exit.vei.vei_port == 0x510, "no OUT");
		}
	} else
		LOAD(t, tour_cpuid, LOOPS, 0);
	TRY(finish(t, 1));
	*ticks = t->vals[0] / LOOPS;
	return (NULL);
}

/* In the order of a VM's life. */
const struct tour_row tour_rows[TOUR_ROWS] = {
	{ 1, "CREATE", "a VM of 8 MiB with one VCPU", row_create },
	{ 5, "RESETCPU", "start in 64-bit mode", row_resetcpu },
	{ 2, "RUN", "run; its IN gets the nonce inverted", row_run },
	{ 7, "READREGS", "where is it, what has it got?", row_readregs },
	{ 8, "WRITEREGS", "EBX becomes the nonce inverted", row_writeregs },
	{ 6, "INTR", "an interrupt waits: leave the guest", row_intr },
	{ 10, "WRITEVMPARAMS", "a clock at 20000", row_writevmparams },
	{ 9, "READVMPARAMS", "where did the guest put its clock?",
	    row_readvmparams },
	{ 11, "MPROTECT_EPT", "the page at 20000 is read-only", row_mprotect },
	{ 3, "INFO", "what is there, how much is resident?", row_info },
	{ 4, "TERM", "end it, in a loop with interrupts off", row_term },
};
