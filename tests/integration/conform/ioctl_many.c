/* SPDX-License-Identifier: ISC */
/*
 * ioctl_many.c - many VMs, many VCPUs, and the end of memory.
 */
#include <sys/mman.h>

#include "ioctl_util.h"

#define MANY	64
#define ENOUGH	32	/* a machine of 64 MiB lets this many be locked */

static struct vm_create_params created[MANY];

/*
 * VMs that all have the same MiB of the client's memory. The memory-lock
 * limit counts each: on a small machine it is what ends this. How many.
 */
static size_t
create_many(uint8_t *mem, size_t ncpus)
{
	struct vcpu_reg_state rs;
	size_t n;
	int error;

	memcpy(mem + GUEST_ENTRY, code_out, sizeof(code_out));
	client_start_state(GUEST_REAL, &rs);
	for (n = 0; n < MANY; n++) {
		fill_create(&created[n], 0, mem, CLIENT_MIB);
		created[n].vcp_ncpus = ncpus;
		error = client_ioc_create(conform_fd, &created[n]);
		if (error != 0) {
			CHECK_EQ(error, ENOMEM);
			break;
		}
		rs.vrs_gprs[VCPU_REGS_RAX] = created[n].vcp_id;
		CHECK_EQ(client_ioc_resetcpu(conform_fd, created[n].vcp_id,
		    0, &rs), 0);
	}
	return (n);
}

/* The one guest of VM i, one exit further. */
static void
run_one(size_t i, uint32_t vcpu)
{
	struct client_vm v = { .fd = conform_fd };

	v.id = created[i].vcp_id;
	v.vcpu = vcpu;
	CHECK_EQ(client_run(&v, NO_IRQ), 0);
	CHECK_EQ(client_event(&v), CLIENT_IO);
	CHECK_EQ(v.exit.vei.vei_data, created[i].vcp_id);
}

static void
many_vms(void)
{
	uint8_t *mem = map(CLIENT_MIB);
	size_t n, i, round;

	n = create_many(mem, 1);
	CHECK(n >= ENOUGH);
	CHECK_EQ(vm_count(), n);
	for (round = 0; round < 3; round++)
		for (i = 0; i < n; i++)
			run_one((i * 7 + round) % n, 0);
	/* Every other one ends; the rest go on. */
	for (i = 0; i < n; i += 2)
		CHECK_EQ(client_ioc_term(conform_fd, created[i].vcp_id), 0);
	CHECK_EQ(vm_count(), n / 2);
	for (i = 1; i < n; i += 2) {
		run_one(i, 0);
		CHECK_EQ(client_ioc_term(conform_fd, created[i].vcp_id), 0);
	}
	CHECK_EQ(vm_count(), 0);
	unmap(mem, CLIENT_MIB);
}

/* VMs of 64 VCPUs each, until one more does not fit: ENOMEM, no leak. */
static void
until_full(void)
{
	uint8_t *mem = map(CLIENT_MIB);
	uint64_t before[3];
	bool counted = false;
	size_t n[3], i, round;

	for (round = 0; round < 3; round++) {
		n[round] = create_many(mem, VMM_MAX_VCPUS_PER_VM);
		CHECK(n[round] >= 8);
		for (i = 0; i < n[round]; i++)
			run_one(i, 0);
		for (i = 0; i < n[round]; i++)
			CHECK_EQ(client_ioc_term(conform_fd,
			    created[i].vcp_id), 0);
		counted = host_free_pages(&before[round]);
	}
	CHECK_EQ(n[1], n[0]);
	CHECK_EQ(n[2], n[0]);
	if (counted)
		CHECK_EQ(before[2], before[1]);
	unmap(mem, CLIENT_MIB);
}

/*
 * C6: all of a VM's memory is charged at CREATE. A machine that can lock 28
 * GiB passes too: then CREATE has to succeed.
 */
static void
over_limit(void)
{
	struct vm_create_params vcp;
	uint64_t before, after;
	bool counted;
	uint8_t *mem;
	int error, i;

	mem = mmap(NULL, 28 * GIB, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem == MAP_FAILED) {
		CHECK_EQ(errno, ENOMEM);
		return;
	}
	counted = host_free_pages(&before);
	for (i = 0; i < 10; i++) {
		fill_create(&vcp, 4 * GIB, mem, 28 * GIB);
		error = client_ioc_create(conform_fd, &vcp);
		CHECK(error == 0 || error == ENOMEM);
		if (error == 0)
			CHECK_EQ(client_ioc_term(conform_fd, vcp.vcp_id), 0);
		CHECK_EQ(vm_count(), 0);
	}
	if (counted && host_free_pages(&after))
		CHECK_EQ(after, before);
	CHECK_EQ(munmap(mem, 28 * GIB), 0);
}

/* The charge is given back: what fits once fits again and again. */
static void
charge_returned(void)
{
	struct client_vm v;
	int i;

	for (i = 0; i < 20; i++) {
		CHECK_EQ(client_create(conform_fd, "charge", 40 * CLIENT_MIB,
		    1, &v), 0);
		client_destroy(&v);
	}
}

/* 16 VCPUs that all spin, each in its own thread. */
static void
vcpus_spin(void)
{
	struct client_vm *v = new_started(code_spin, sizeof(code_spin), 16);
	static struct bg r[16];
	struct vm_info_result vir;
	size_t i;

	for (i = 0; i < NELEM(r); i++)
		bg_spawn(&r[i], v, (uint32_t)i);
	for (i = 0; i < NELEM(r); i++)
		await_state(v->id, (uint32_t)i, VCPU_STATE_RUNNING);
	CHECK(get_info(v->id, &vir));
	for (i = 0; i < NELEM(r); i++)
		CHECK_EQ(vir.vir_vcpu_state[i], VCPU_STATE_RUNNING);
	CHECK_EQ(client_ioc_term(v->fd, v->id), 0);
	for (i = 0; i < NELEM(r); i++) {
		bg_join(&r[i]);
		CHECK_EQ(r[i].error, 0);
		CHECK_EQ(r[i].run.vrp_exit_reason, VM_EXIT_TERMINATED);
	}
}

/* 64 threads that wait for each other, then each run a VCPU of their own. */
#define TURNS	20

static struct client_vm *shared;
static pthread_barrier_t barrier;

static void
turns_main(void *arg)
{
	struct client_vm v = *shared;
	int i;

	v.vcpu = (uint32_t)(uintptr_t)arg;
	pthread_barrier_wait(&barrier);
	for (i = 0; i < TURNS; i++) {
		CHECK_EQ(client_run(&v, NO_IRQ), 0);
		CHECK_EQ(client_event(&v), CLIENT_IO);
		CHECK_EQ(v.exit.vei.vei_data, 1000 + v.vcpu);
	}
}

static void
vcpus_threads(void)
{
	struct vcpu_reg_state rs;
	uint32_t i;
	int t[64];

	shared = new_started(code_out, sizeof(code_out), 64);
	for (i = 0; i < 64; i++) {
		client_start_state(GUEST_REAL, &rs);
		rs.vrs_gprs[VCPU_REGS_RAX] = 1000 + i;
		CHECK_EQ(client_ioc_resetcpu(shared->fd, shared->id, i, &rs),
		    0);
	}
	CHECK_EQ(pthread_barrier_init(&barrier, NULL, 64), 0);
	for (i = 0; i < 64; i++)
		t[i] = spawn(turns_main, (void *)(uintptr_t)i);
	for (i = 0; i < 64; i++)
		join(t[i]);
	CHECK_EQ(pthread_barrier_destroy(&barrier), 0);
}

/* And one after the other: each keeps its place. */
static void
vcpus_turns(void)
{
	struct client_vm *v = new_vm(CLIENT_MIB, 64);
	struct vcpu_reg_state rs;
	uint32_t round;

	memcpy(v->mem + GUEST_ENTRY, code_out, sizeof(code_out));
	for (v->vcpu = 0; v->vcpu < 64; v->vcpu++) {
		client_start_state(GUEST_REAL, &rs);
		rs.vrs_gprs[VCPU_REGS_RAX] = 1000 + v->vcpu;
		CHECK_EQ(client_ioc_resetcpu(v->fd, v->id, v->vcpu, &rs), 0);
	}
	for (round = 0; round < 3; round++)
		for (v->vcpu = 0; v->vcpu < 64; v->vcpu++) {
			CHECK_EQ(client_run(v, NO_IRQ), 0);
			CHECK_EQ(client_event(v), CLIENT_IO);
			CHECK_EQ(v->exit.vei.vei_data, 1000 + v->vcpu);
		}
}

/* Several VMs run at once, each in its thread; all end. */
static void
vms_at_once(void)
{
	static struct bg r[6];
	struct client_vm *v[6];
	size_t i;

	for (i = 0; i < NELEM(r); i++) {
		v[i] = new_started(code_spin, sizeof(code_spin), 1);
		bg_spawn(&r[i], v[i], 0);
	}
	for (i = 0; i < NELEM(r); i++)
		await_state(v[i]->id, 0, VCPU_STATE_RUNNING);
	for (i = 0; i < NELEM(r); i++) {
		CHECK_EQ(vcpu_state(v[i]->id, 0), VCPU_STATE_RUNNING);
		CHECK_EQ(client_ioc_term(v[i]->fd, v[i]->id), 0);
		bg_join(&r[i]);
		CHECK_EQ(r[i].run.vrp_exit_reason, VM_EXIT_TERMINATED);
	}
}

const struct clause ioctl_many[] = {
	ROW("3.1.many", "many VMs at once, each its own", MATCH, many_vms),
	ROW("3.1.full", "VMs until memory ends: ENOMEM, and all comes back",
	    MATCH, until_full),
	ROW("C6.limit", "CREATE charges all memory: over the limit is ENOMEM",
	    FIX, over_limit),
	ROW("C6.returned", "the charge is given back with the VM", FIX,
	    charge_returned),
	ROW("B1.vcpus-spin", "16 VCPUs spin in 16 threads, and end", BEYOND,
	    vcpus_spin),
	ROW("B1.vcpus-threads", "64 threads each run a VCPU of their own",
	    BEYOND, vcpus_threads),
	ROW("B1.turns", "64 VCPUs in turns keep their places", BEYOND,
	    vcpus_turns),
	ROW("3.2.at-once", "six VMs run at once", MATCH, vms_at_once),
	CLAUSE_END
};
