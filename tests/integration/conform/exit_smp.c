/* SPDX-License-Identifier: ISC */
/*
 * exit_smp.c - VMs with several VCPUs, each RUN by its own thread (B1).
 */
#include <sched.h>

#include "exit_util.h"

#define NCPUS	VMM_MAX_VCPUS_PER_VM

static struct runner r[NCPUS];
static uint32_t id[NCPUS], turn[NCPUS];

/* A VM of n VCPUs, all at the start of one guest. */
static struct client_vm *
vcpus(uint32_t n, const char *path, const uint64_t *args)
{
	struct client_vm *v = new_vm(4 * CLIENT_MIB, n);
	int mode;

	CHECK_EQ(client_load_file(v, path, args, &mode), 0);
	for (v->vcpu = 0; v->vcpu < n; v->vcpu++)
		CHECK_EQ(client_start(v, mode), 0);
	v->vcpu = 0;
	return (v);
}

/* RUNs one VCPU of `smp` to its end. */
static void
meet(void *arg)
{
	struct runner *me = arg;
	struct client_vm *v = &me->v;
	uint32_t cpu = v->vcpu, got[2];
	size_t n = 0;

	while ((me->error = client_run(v, NO_IRQ)) == 0) {
		if (client_event(v) != CLIENT_IO || client_done(v))
			break;
		if (v->exit.vei.vei_port == 0x70)
			sched_yield();
		else if (v->exit.vei.vei_port == GUEST_VALUE && n < 2)
			got[n++] = v->exit.vei.vei_data;
		else
			break;
	}
	CHECK_EQ(me->error, 0);
	CHECK(client_done(v));
	CHECK_EQ(n, 2);
	id[cpu] = got[0];
	turn[cpu] = got[1];
}

static void
together(uint32_t n)
{
	uint64_t args[8] = { n }, seen = 0;
	struct client_vm *v = vcpus(n, "/guests/smp.bin", args);
	uint32_t cpu;

	for (cpu = 0; cpu < n; cpu++) {
		r[cpu].v = *v;
		r[cpu].v.vcpu = cpu;
		r[cpu].thread = spawn(meet, &r[cpu]);
	}
	for (cpu = 0; cpu < n; cpu++)
		join(r[cpu].thread);
	for (cpu = 0; cpu < n; cpu++) {
		CHECK_EQ(id[cpu], cpu);
		CHECK(turn[cpu] < n);
		seen |= 1ULL << turn[cpu];
	}
	CHECK_EQ(seen, n == 64 ? ~0ULL : (1ULL << n) - 1);
	CHECK_EQ(*(uint32_t *)(v->mem + 0x30000), n);
}

static void
one(void)
{
	together(1);
}

static void
two(void)
{
	together(2);
}

static void
all(void)
{
	together(NCPUS);
}

static void
own_registers(void)
{
	struct client_vm *v = vcpus(4, "/guests/spin.bin", NULL);
	struct vcpu_reg_state vrs;
	uint64_t value[4];

	for (v->vcpu = 0; v->vcpu < 4; v->vcpu++) {
		value[v->vcpu] = fresh();
		set_gpr(v, VCPU_REGS_R12, value[v->vcpu]);
	}
	for (v->vcpu = 0; v->vcpu < 4; v->vcpu++) {
		run_to_io(v, VEI_DIR_OUT, 0x70, 1);
		CHECK_EQ(gpr(v, VCPU_REGS_R12), value[v->vcpu]);
	}
	for (v->vcpu = 0; v->vcpu < 4; v->vcpu++) {
		CHECK_EQ(client_ioc_readregs(v->fd, v->id, v->vcpu,
		    VM_RWREGS_GPRS, &vrs), 0);
		CHECK_EQ(vrs.vrs_gprs[VCPU_REGS_R12], value[v->vcpu]);
	}
}

/* n VCPUs in the loop of `spin`, each RUN by a thread. */
static struct client_vm *
spinning(uint32_t n, uint64_t interrupts)
{
	uint64_t args[8] = { interrupts };
	struct client_vm *v = vcpus(n, "/guests/spin.bin", args);
	uint32_t cpu;

	for (v->vcpu = 0; v->vcpu < n; v->vcpu++)
		run_to_io(v, VEI_DIR_OUT, 0x70, 1);
	v->vcpu = 0;
	for (cpu = 0; cpu < n; cpu++)
		runner_start(&r[cpu], v, cpu);
	for (cpu = 0; cpu < n; cpu++)
		wait_state(v, cpu, VCPU_STATE_RUNNING);
	return (v);
}

static void
term_all(void)
{
	struct client_vm *v = spinning(8, 0);
	uint32_t cpu;

	CHECK_EQ(client_ioc_term(v->fd, v->id), 0);
	v->id = 0;
	for (cpu = 0; cpu < 8; cpu++) {
		runner_join(&r[cpu]);
		CHECK_EQ(r[cpu].v.run.vrp_exit_reason, VM_EXIT_TERMINATED);
	}
}

static void
intr_one(void)
{
	struct client_vm *v = spinning(3, 1);

	CHECK_EQ(client_ioc_intr(v->fd, v->id, 1, 1), 0);
	runner_join(&r[1]);
	CHECK_EQ(r[1].v.run.vrp_exit_reason, raw_code(CLIENT_WINDOW));
	CHECK_EQ(vcpu_state(v->id, 0), VCPU_STATE_RUNNING);
	CHECK_EQ(vcpu_state(v->id, 1), VCPU_STATE_STOPPED);
	CHECK_EQ(vcpu_state(v->id, 2), VCPU_STATE_RUNNING);
	/* The stopped one can be reset while the others run. */
	v->vcpu = 1;
	CHECK_EQ(client_start(v, GUEST_LONG), 0);
	run_to_io(v, VEI_DIR_OUT, 0x70, 1);
}

static void
one_dies(void)
{
	uint64_t args[8] = { 0 };
	struct client_vm *v = vcpus(2, "/guests/hlt-if0.bin", args);

	v->vcpu = 1;
	run_fails(v, EIO);
	CHECK_EQ(vcpu_state(v->id, 0), VCPU_STATE_STOPPED);
	v->vcpu = 0;
	run_fails(v, EIO);
}

static void
touch_one(void *arg)
{
	struct runner *me = arg;
	uint32_t vals[1];
	size_t n;

	me->error = client_run_guest(&me->v, vals, 1, &n);
	CHECK_EQ(me->error, 0);
	CHECK(client_done(&me->v));
}

/* VCPUs that touch the same pages at once: whoever is second goes on. */
static void
same_pages(void)
{
	uint64_t args[8] = { 0x200000, 4096, 512, 2 };
	struct client_vm *v = vcpus(4, "/guests/touch.bin", args);
	uint32_t cpu;
	uint64_t i;

	for (cpu = 0; cpu < 4; cpu++) {
		r[cpu].v = *v;
		r[cpu].v.vcpu = cpu;
		r[cpu].thread = spawn(touch_one, &r[cpu]);
	}
	for (cpu = 0; cpu < 4; cpu++)
		join(r[cpu].thread);
	/* Four times the same exclusive or. */
	for (i = 0; i < 512; i++)
		CHECK_EQ(*(uint64_t *)(v->mem + 0x200000 + i * 4096), 0);
}

const struct clause exit_smp[] = {
	{ "B1.one", "a VM of one VCPU: APIC id 0",
	    LAYER_EXIT, MATCH, one, NULL },
	{ "B1.two", "two VCPUs in two threads meet in memory",
	    LAYER_EXIT, BEYOND, two, NULL },
	{ "B1.all", "so do 64; each has its id as APIC id",
	    LAYER_EXIT, BEYOND, all, NULL },
	{ "B1.registers", "each VCPU has registers of its own",
	    LAYER_EXIT, BEYOND, own_registers, NULL },
	{ "B1.term", "TERM ends all eight RUNs",
	    LAYER_EXIT, BEYOND, term_all, NULL },
	{ "B1.intr", "INTR and RESETCPU act on one VCPU",
	    LAYER_EXIT, BEYOND, intr_one, NULL },
	{ "B1.dies", "a VCPU that dies leaves the others alive",
	    LAYER_EXIT, BEYOND, one_dies, NULL },
	{ "F26.same-pages", "four VCPUs touch the same pages at once",
	    LAYER_EXIT, FIX, same_pages, NULL },
	CLAUSE_END
};
