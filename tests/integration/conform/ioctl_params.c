/* SPDX-License-Identifier: ISC */
/*
 * ioctl_params.c - READVMPARAMS and WRITEVMPARAMS: where a VCPU's clock is.
 */
#include <sys/mman.h>

#include "ioctl_util.h"

#define GPA	VM_RWVMPARAMS_PVCLOCK_SYSTEM_GPA
#define VERSION	VM_RWVMPARAMS_PVCLOCK_VERSION
#define SLOT	32			/* bytes of the structure */

static int
set(struct client_vm *v, uint32_t mask, uint64_t gpa, uint32_t version)
{
	struct vm_rwvmparams_params vpp = { 0 };

	vpp.vpp_vm_id = v->id;
	vpp.vpp_vcpu_id = v->vcpu;
	vpp.vpp_mask = mask;
	vpp.vpp_pvclock_system_gpa = gpa;
	vpp.vpp_pvclock_version = version;
	return (client_ioc_writevmparams(v->fd, &vpp));
}

/* Fails unless both are as given. */
static void
are(const char *what, struct client_vm *v, uint64_t gpa, uint32_t version)
{
	struct vm_rwvmparams_params vpp = { 0 };

	vpp.vpp_vm_id = v->id;
	vpp.vpp_vcpu_id = v->vcpu;
	vpp.vpp_mask = VM_RWVMPARAMS_ALL;
	EXPECT(what, client_ioc_readvmparams(v->fd, &vpp), 0);
	EXPECT(what, vpp.vpp_pvclock_system_gpa, gpa);
	EXPECT(what, vpp.vpp_pvclock_version, version);
}

static uint32_t
version_in(const struct client_vm *v, uint64_t gpa)
{
	uint32_t version;

	memcpy(&version, v->mem + gpa, sizeof(version));
	return (version);
}

/* Each field by its mask bit, the other untouched. */
static void
masks(void)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	struct vm_rwvmparams_params vpp;
	uint32_t mask;

	CHECK_EQ(set(v, VERSION, 0x1000, 0xdeadbeef), 0);
	are("version", v, 0, 0xdeadbeef);
	CHECK_EQ(set(v, GPA, 0x2000, 7), 0);
	are("gpa", v, 0x2000, 0xdeadbeef);
	CHECK_EQ(set(v, GPA | VERSION, 0x3000, 8), 0);
	are("both", v, 0x3000, 8);
	CHECK_EQ(set(v, 0, 0x4000, 9), 0);
	are("none", v, 0x3000, 8);

	for (mask = 0; mask < 4; mask++) {
		memset(&vpp, 0, sizeof(vpp));
		vpp.vpp_vm_id = v->id;
		vpp.vpp_mask = mask;
		vpp.vpp_pvclock_system_gpa = 0xa5a5;
		vpp.vpp_pvclock_version = 0x5a5a;
		CHECK_EQ(client_ioc_readvmparams(v->fd, &vpp), 0);
		CHECK_EQ(vpp.vpp_pvclock_system_gpa,
		    mask & GPA ? 0x3000 : 0xa5a5);
		CHECK_EQ(vpp.vpp_pvclock_version,
		    mask & VERSION ? 8 : 0x5a5a);
		CHECK_EQ(vpp.vpp_mask, mask);
		CHECK_EQ(vpp.vpp_vm_id, v->id);
	}
}

static void
unknown_masks(void)
{
	static const uint32_t unknown[] = {
		4, 8, 0x100, 0x80000000, 0xfffffffc,
	};
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	size_t i;

	CHECK_EQ(set(v, VM_RWVMPARAMS_ALL, 0x3000, 8), 0);
	for (i = 0; i < NELEM(unknown); i++) {
		CHECK_EQ(set(v, unknown[i], 0x1001, 1), 0);
		are("unknown alone", v, 0x3000, 8);
	}
	CHECK_EQ(set(v, ~0U, 0x5000, 10), 0);
	are("all bits", v, 0x5000, 10);
}

/* The raw counter is told, what the guest sees is twice that. */
static void
raw_version(void)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);

	memset(v->mem + 0x90000, 0xff, SLOT);
	CHECK_EQ(set(v, VM_RWVMPARAMS_ALL, 0x90001, 40), 0);
	are("enabled", v, 0x90001, 41);
	CHECK_EQ(version_in(v, 0x90000), 82);
	CHECK_EQ(set(v, GPA, 0x90001, 0), 0);
	are("again", v, 0x90001, 42);
	CHECK_EQ(version_in(v, 0x90000), 84);
	/* The version alone writes no structure. */
	CHECK_EQ(set(v, VERSION, 0, 0x80000000), 0);
	are("version", v, 0x90001, 0x80000000);
	CHECK_EQ(version_in(v, 0x90000), 84);
}

/* Off: any address will do, and nothing is written. */
static void
disable(void)
{
	static const uint64_t gpas[] = {
		0, 2, 0x90000, 0x90ff0, 0x100000, 0xf0000000, 0x800000000,
		0xfffffffffffffffe, 0x8000000000000000,
	};
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	size_t i;

	for (i = 0; i < NELEM(gpas); i++) {
		CHECK_EQ(set(v, VM_RWVMPARAMS_ALL, 0x90001, 0), 0);
		are("on", v, 0x90001, 1);
		EXPECT("off", set(v, GPA, gpas[i], 0), 0);
		are("off", v, gpas[i], 1);
		memset(v->mem + 0x90000, 0xa5, PAGE);
		CHECK_EQ(client_run(v, NO_IRQ), 0);
		CHECK_EQ(version_in(v, 0x90000), 0xa5a5a5a5);
	}
}

/* On: the structure lies in guest memory and in one page. */
static void
validity(void)
{
	static const struct {
		uint64_t	gpa;
		int		error;
	} rows[] = {
		{ 0x00000, 0 }, { 0x90000, 0 }, { 0x90010, 0 },
		{ 0x90fd0, 0 }, { 0x90fe0, 0 }, { 0x90ff0, EINVAL },
		{ 0xfffd0, 0 }, { 0xfffe0, 0 }, { 0xffff0, EINVAL },
		{ 0x100000, EINVAL }, { 0x100010, EINVAL },
		{ 0xeffffff0, EINVAL }, { 0xf0000000, EINVAL },
		{ 0xfee00000, EINVAL }, { 0x100000000, EINVAL },
		{ 0x800000000, EINVAL }, { 1UL << 52, EINVAL },
		{ 1UL << 63, EINVAL }, { 0xffffffffffffffe0, EINVAL },
		{ 0xfffffffffffffff0, EINVAL }, { 0x90020, 0 },
	};
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	uint64_t gpa = 0;
	uint32_t version = 0;
	size_t i;

	for (i = 0; i < NELEM(rows); i++) {
		note("gpa 0x%llx", (unsigned long long)rows[i].gpa);
		if (rows[i].error == 0)
			memset(v->mem + rows[i].gpa, 0xa5, SLOT);
		CHECK_EQ(set(v, VM_RWVMPARAMS_ALL, rows[i].gpa | 1, 1000),
		    rows[i].error);
		if (rows[i].error == 0) {
			gpa = rows[i].gpa | 1;
			version = 1001;
			CHECK_EQ(version_in(v, rows[i].gpa), 2002);
		}
		are("after", v, gpa, version);
	}
}

/* The bits below an address of 16 bytes: bit 0 enables, the rest is kept. */
static void
low_bits(void)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);
	uint64_t low;

	for (low = 1; low < 16; low += 2) {
		memset(v->mem + 0x90000, 0xa5, SLOT);
		CHECK_EQ(set(v, VM_RWVMPARAMS_ALL, 0x90000 | low, 5), 0);
		are("kept", v, 0x90000 | low, 6);
		CHECK_EQ(version_in(v, 0x90000), 12);
	}
}

/* A page that the client no longer maps: EFAULT, and nothing changed. */
static void
gone(void)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);

	CHECK_EQ(set(v, VM_RWVMPARAMS_ALL, 0x90001, 7), 0);
	CHECK_EQ(munmap(v->mem + 0xa0000, PAGE), 0);
	CHECK_EQ(set(v, VM_RWVMPARAMS_ALL, 0xa0001, 30), EFAULT);
	are("after", v, 0x90001, 8);
	CHECK_EQ(client_run(v, NO_IRQ), 0);
	CHECK_EQ(client_event(v), CLIENT_IO);
	are("after RUN", v, 0x90001, 8);
	/* Off, it is not looked at. */
	CHECK_EQ(set(v, GPA, 0xa0000, 0), 0);
	are("off", v, 0xa0000, 8);
}

/* A refused address is the client's error, not the guest's. */
static void
no_gp_queued(void)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 1);

	CHECK_EQ(set(v, GPA, 0x90ff1, 0), EINVAL);
	CHECK_EQ(client_run(v, NO_IRQ), 0);
	CHECK_EQ(client_event(v), CLIENT_IO);
	CHECK_EQ(v->exit.vrs.vrs_gprs[VCPU_REGS_RIP], GUEST_ENTRY + 2);
	CHECK_EQ(v->exit.vrs.vrs_gprs[VCPU_REGS_RSP], GUEST_STACK - 0x10);
}

/* Any state of the VCPU. */
static void
any_state(void)
{
	static const uint8_t hlt[] = { 0xf4 };
	struct client_vm *v = new_started(code_spin, sizeof(code_spin), 1);
	struct client_vm *dead = new_started(hlt, sizeof(hlt), 1);
	struct bg r;

	bg_start(&r, v, 0);
	CHECK_EQ(set(v, VM_RWVMPARAMS_ALL, 0x90001, 4), 0);
	are("running", v, 0x90001, 5);
	CHECK_EQ(set(v, GPA, 0x90ff1, 0), EINVAL);
	are("running", v, 0x90001, 5);
	CHECK_EQ(client_ioc_term(v->fd, v->id), 0);
	bg_join(&r);
	CHECK_EQ(client_run(dead, NO_IRQ), EIO);
	CHECK_EQ(set(dead, VM_RWVMPARAMS_ALL, 0, 4), 0);
	are("terminated", dead, 0, 4);
}

static void
per_vcpu(void)
{
	struct client_vm *v = new_started(code_out, sizeof(code_out), 64);

	for (v->vcpu = 0; v->vcpu < 64; v->vcpu++)
		CHECK_EQ(set(v, VM_RWVMPARAMS_ALL, 0x90001 + v->vcpu * SLOT,
		    100 * v->vcpu), 0);
	for (v->vcpu = 0; v->vcpu < 64; v->vcpu++) {
		are("VCPU", v, 0x90001 + v->vcpu * SLOT, 100 * v->vcpu + 1);
		CHECK_EQ(version_in(v, 0x90000 + v->vcpu * SLOT),
		    200 * v->vcpu + 2);
	}
}

const struct clause ioctl_params[] = {
	ROW("3.10.mask", "each parameter by its mask bit alone", MATCH,
	    masks),
	ROW("3.10.mask-unknown", "unknown mask bits are ignored", MATCH,
	    unknown_masks),
	ROW("3.9.version", "the version is the raw counter, the guest sees "
	    "twice that", MATCH, raw_version),
	ROW("F15.disable", "turning the clock off takes any address", FIX,
	    disable),
	ROW("F15.validity", "a clock in memory, in one page, up to the last "
	    "slot", FIX, validity),
	ROW("3.10.low-bits", "the low bits of the address are kept", MATCH,
	    low_bits),
	ROW("F15.gone", "a clock in memory that is gone is EFAULT, nothing "
	    "changed", FIX, gone),
	ROW("F15.no-gp", "a refused address queues no #GP", FIX,
	    no_gp_queued),
	ROW("3.10.state", "the parameters of a VCPU in any state", MATCH,
	    any_state),
	ROW("B1.params", "each of 64 VCPUs has its own clock", BEYOND,
	    per_vcpu),
	CLAUSE_END
};
