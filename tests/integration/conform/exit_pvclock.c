/* SPDX-License-Identifier: ISC */
/*
 * exit_pvclock.c - the paravirtual clock as a guest sees it (F15).
 */
#include "exit_util.h"

#define GP0	TRAP(VMM_EX_GP, 0, 0)

struct pvclock {
	uint32_t	version, pad0;
	uint64_t	tsc, ns;
	uint32_t	mul;
	int8_t		shift;
	uint8_t		flags, pad[2];
};

/* A guest `pvclock` that writes `msr` and takes 50 readings. */
static struct client_vm *
clocked(uint64_t msr)
{
	uint64_t args[8] = { msr, 50 };

	return (new_guest("pvclock", args));
}

static const struct pvclock *
at(const struct client_vm *v, uint64_t gpa)
{
	return ((const struct pvclock *)(v->mem + gpa));
}

static void
params(struct client_vm *v, struct vm_rwvmparams_params *vpp)
{
	memset(vpp, 0, sizeof(*vpp));
	vpp->vpp_vm_id = v->id;
	vpp->vpp_vcpu_id = v->vcpu;
	vpp->vpp_mask = VM_RWVMPARAMS_ALL;
	CHECK_EQ(client_ioc_readvmparams(v->fd, vpp), 0);
}

static void
fields(void)
{
	struct client_vm *v = clocked(0x30001);
	const struct pvclock *c = at(v, 0x30000);
	struct vm_rwvmparams_params vpp;
	uint64_t ns;
	uint32_t version;

	memset(v->mem + 0x30000, 0xee, 64);
	CHECK_EQ(run_value(v), TRAP_NONE);
	version = run_value(v);
	CHECK_EQ(version & 1, 0);
	CHECK_EQ(run_value(v), c->mul);
	CHECK_EQ(run_value(v), (uint32_t)c->shift);
	CHECK_EQ(run_value(v), 1);		/* the TSC is stable */
	CHECK_EQ(run_value64(v), c->tsc);
	ns = run_value64(v);
	CHECK_EQ(ns, c->ns);
	CHECK(run_value64(v) >= ns);
	run_done(v);
	CHECK(c->mul != 0);
	CHECK_EQ(c->pad[0], 0xee);
	CHECK_EQ(c->pad[1], 0xee);
	CHECK_EQ(v->mem[0x30020], 0xee);
	params(v, &vpp);
	CHECK_EQ(vpp.vpp_pvclock_system_gpa, 0x30001);
	CHECK_EQ(vpp.vpp_pvclock_version * 2, c->version);
	/* Many entries later the structure is as it was at first. */
	CHECK_EQ(version, c->version);
}

/* WRMSR of `msr` must give `want`; the page may be untouched. */
static void
accepts(uint64_t msr, uint32_t want)
{
	struct client_vm *v = clocked(msr);

	note("MSR value 0x%llx", (unsigned long long)msr);
	CHECK_EQ(run_value(v), want);
	if (want != TRAP_NONE || (msr & 1) == 0) {
		run_done(v);
		return;
	}
	CHECK(run_value(v) != 0);
	CHECK(at(v, msr & ~0xfULL)->mul != 0);
}

static void
last_slot(void)
{
	accepts(0x400000 - 32 + 1, TRAP_NONE);
	accepts(0x30000 + 4096 - 32 + 1, TRAP_NONE);
	accepts(0x30000 + 7, TRAP_NONE);
}

static void
bad(void)
{
	accepts(0x400000 - 16 + 1, GP0);	/* runs out of memory */
	accepts(0x400000 + 1, GP0);
	accepts(0x30000 + 4096 - 16 + 1, GP0);	/* crosses a page */
	accepts(0xf0000001, GP0);
	accepts(0xfffffffffffffff1, GP0);
}

static void
disable(void)
{
	struct client_vm *v;
	struct vm_rwvmparams_params vpp;

	accepts(0x80000000, TRAP_NONE);		/* no such memory */
	accepts(0xfffffffffffffff0, TRAP_NONE);
	accepts(0, TRAP_NONE);
	v = clocked(0x80000000);
	memset(&vpp, 0, sizeof(vpp));
	vpp.vpp_vm_id = v->id;
	vpp.vpp_mask = VM_RWVMPARAMS_PVCLOCK_SYSTEM_GPA;
	vpp.vpp_pvclock_system_gpa = 0x30001;
	CHECK_EQ(client_ioc_writevmparams(v->fd, &vpp), 0);
	CHECK(at(v, 0x30000)->version != 0);
	CHECK_EQ(run_value(v), TRAP_NONE);
	memset(v->mem + 0x30000, 0xee, 32);
	run_done(v);
	CHECK_EQ(at(v, 0x30000)->version, 0xeeeeeeee);
}

static void
reset(void)
{
	struct client_vm *v = clocked(0x30001);
	struct vm_rwvmparams_params vpp;
	int mode;

	CHECK_EQ(run_value(v), TRAP_NONE);
	CHECK(at(v, 0x30000)->version != 0);
	CHECK_EQ(client_load_file(v, "/guests/tsc.bin", NULL, &mode), 0);
	CHECK_EQ(client_start(v, mode), 0);
	params(v, &vpp);
	CHECK_EQ(vpp.vpp_pvclock_system_gpa, 0);
	CHECK_EQ(vpp.vpp_pvclock_version, 0);
	memset(v->mem + 0x30000, 0xee, 32);
	run_done(v);
	CHECK_EQ(at(v, 0x30000)->version, 0xeeeeeeee);
	CHECK_EQ(at(v, 0x30000)->ns, 0xeeeeeeeeeeeeeeee);
}

static void
one_line(void)
{
	struct client_vm *v = new_vm(4 * CLIENT_MIB, 2);
	struct vm_rwvmparams_params vpp;
	const struct pvclock *a = at(v, 0x30000), *b = at(v, 0x31000);
	uint32_t cpu;

	memset(&vpp, 0, sizeof(vpp));
	vpp.vpp_vm_id = v->id;
	vpp.vpp_mask = VM_RWVMPARAMS_PVCLOCK_SYSTEM_GPA;
	for (cpu = 0; cpu < 2; cpu++) {
		vpp.vpp_vcpu_id = cpu;
		vpp.vpp_pvclock_system_gpa = 0x30001 + 0x1000 * cpu;
		CHECK_EQ(client_ioc_writevmparams(v->fd, &vpp), 0);
		pause_ms(2);
	}
	CHECK(a->version != 0);
	CHECK(b->version != 0);
	CHECK_EQ(b->tsc, a->tsc);
	CHECK_EQ(b->ns, a->ns);
	CHECK_EQ(b->mul, a->mul);
	CHECK_EQ(b->shift, a->shift);
}

const struct clause exit_pvclock[] = {
	{ "5.fields", "the structure, and 50 readings that never go back",
	    LAYER_EXIT, MATCH, fields, NULL },
	{ "F15.last-slot", "the last 32 bytes of memory and of a page",
	    LAYER_EXIT, FIX, last_slot, NULL },
	{ "5.bad", "an address outside of memory, or across pages, is #GP",
	    LAYER_EXIT, MATCH, bad, NULL },
	{ "F15.bit-0", "bit 0 clear disables, whatever the address",
	    LAYER_EXIT, FIX, disable, NULL },
	{ "F15.reset", "RESETCPU disables it",
	    LAYER_EXIT, FIX, reset, NULL },
	{ "F15.line", "all VCPUs compute the same time",
	    LAYER_EXIT, FIX, one_line, NULL },
	CLAUSE_END
};
