/* SPDX-License-Identifier: ISC */
/*
 * exit_msr.c - RDMSR and WRMSR (F16).
 */
#include "exit_util.h"

#define PAT_GOOD	0x0007040600070406
#define GP0		TRAP(VMM_EX_GP, 0, 0)

/* RDMSR in the guest `msr`. What trapped; the value in *value. */
static uint32_t
rdmsr(struct client_vm *v, uint32_t index, uint64_t *value)
{
	struct vcpu_reg_state vrs;

	note("RDMSR 0x%x", index);
	run_to_io(v, VEI_DIR_OUT, 0x70, 1);
	vrs = v->exit.vrs;
	vrs.vrs_gprs[VCPU_REGS_RAX] = 0xffffffffffffffff;
	vrs.vrs_gprs[VCPU_REGS_RDX] = 0xffffffffffffffff;
	vrs.vrs_gprs[VCPU_REGS_RCX] = 0xabcd000000000000 | index;
	vrs.vrs_gprs[VCPU_REGS_RBX] = 0;
	CHECK_EQ(client_ioc_writeregs(v->fd, v->id, 0, VM_RWREGS_GPRS, &vrs),
	    0);
	run_to_io(v, VEI_DIR_OUT, 0x71, 1);
	if ((uint32_t)gpr(v, VCPU_REGS_RSI) == TRAP_NONE) {
		CHECK_EQ(gpr(v, VCPU_REGS_RAX) >> 32, 0);
		CHECK_EQ(gpr(v, VCPU_REGS_RDX) >> 32, 0);
	}
	*value = gpr(v, VCPU_REGS_RDX) << 32 |
	    (uint32_t)gpr(v, VCPU_REGS_RAX);
	return ((uint32_t)gpr(v, VCPU_REGS_RSI));
}

/* WRMSR: what trapped. */
static uint32_t
wrmsr(struct client_vm *v, uint32_t index, uint64_t value)
{
	struct vcpu_reg_state vrs;

	note("WRMSR 0x%x", index);
	run_to_io(v, VEI_DIR_OUT, 0x70, 1);
	vrs = v->exit.vrs;
	vrs.vrs_gprs[VCPU_REGS_RAX] = 0xabcd000000000000 | (uint32_t)value;
	vrs.vrs_gprs[VCPU_REGS_RDX] = 0xabcd000000000000 | value >> 32;
	vrs.vrs_gprs[VCPU_REGS_RCX] = 0xabcd000000000000 | index;
	vrs.vrs_gprs[VCPU_REGS_RBX] = 1;
	CHECK_EQ(client_ioc_writeregs(v->fd, v->id, 0, VM_RWREGS_GPRS, &vrs),
	    0);
	run_to_io(v, VEI_DIR_OUT, 0x71, 1);
	return ((uint32_t)gpr(v, VCPU_REGS_RSI));
}

static void
reads(struct client_vm *v, uint32_t index, uint64_t want)
{
	uint64_t value;

	CHECK_EQ(rdmsr(v, index, &value), TRAP_NONE);
	CHECK_EQ(value, want);
}

static void
read_faults(struct client_vm *v, uint32_t index)
{
	uint64_t value;

	CHECK_EQ(rdmsr(v, index, &value), GP0);
}

/* Neither fault nor change. */
static void
write_ignored(struct client_vm *v, uint32_t index, uint64_t want)
{
	CHECK_EQ(wrmsr(v, index, fresh()), TRAP_NONE);
	CHECK_EQ(wrmsr(v, index, 0), TRAP_NONE);
	reads(v, index, want);
}

static void
unknown(void)
{
	static const uint32_t index[] = { 0x1, 0xce, 0x200, 0x2ff, 0x38f,
	    0x480, 0x481, 0x482, 0x483, 0x484, 0x485, 0x486, 0x487, 0x488,
	    0x489, 0x48a, 0x48b, 0x48c, 0x48d, 0x48e, 0x48f, 0x490, 0x491,
	    0x600, 0x6e0, 0x802, 0x1d9, 0x9e, 0xfe, 0xdeadbeef,
	    0x40000000, 0x4b564d00, 0x4b564d01, 0x4b564d04, 0xc0000103,
	    0xc0010000, 0xc0010015, 0xc001001f, 0xc0010114, 0xc0010117,
	    0xc0011020, 0xffffffff };
	struct client_vm *v = new_guest("msr", NULL);
	size_t i;

	for (i = 0; i < NELEM(index); i++) {
		read_faults(v, index[i]);
		if (index[i] != 0x4b564d01)
			CHECK_EQ(wrmsr(v, index[i], fresh()), TRAP_NONE);
		read_faults(v, index[i]);
	}
}

static void
constants(void)
{
	struct client_vm *v = new_guest("msr", NULL);

	write_ignored(v, 0x17, 0);
	write_ignored(v, 0x8b, 0);
	write_ignored(v, 0x1b, 0xfee00900);
}

static void
feature_control(void)
{
	struct client_vm *v = new_guest("msr", NULL);

	reads(v, 0x3a, 1);
	wrmsr(v, 0x3a, 5);
	reads(v, 0x3a, 1);
}

static void
vendor(void)
{
	static const uint32_t amd[] = { 0xc0010055, 0xc0011029 };
	struct client_vm *v = new_guest("msr", NULL);
	size_t i;

	if (client_is_svm()) {
		write_ignored(v, 0xc0010055, 0);
		write_ignored(v, 0xc0011029, 2);
		read_faults(v, 0x1a0);
		CHECK_EQ(wrmsr(v, 0x1a0, 1), TRAP_NONE);
		read_faults(v, 0x1a0);
		CHECK_EQ(wrmsr(v, 0x9b, 0), TRAP_NONE);
	} else {
		reads(v, 0x1a0, 0);
		CHECK_EQ(wrmsr(v, 0x1a0, ~0ULL), TRAP_NONE);
		reads(v, 0x1a0, ~0x810008ULL);
		CHECK_EQ(v->exit.vrs.vrs_msrs[VCPU_REGS_MISC_ENABLE],
		    ~0x810008ULL);
		CHECK_EQ(wrmsr(v, 0x9b, 0), GP0);
		for (i = 0; i < NELEM(amd); i++) {
			CHECK_EQ(wrmsr(v, amd[i], 0), TRAP_NONE);
			read_faults(v, amd[i]);
		}
	}
	read_faults(v, 0x9b);
}

static void
native(void)
{
	static const struct {
		uint32_t	index;
		uint64_t	value;
	} msr[] = {
		{ 0x174, 0x1234 },
		{ 0x175, 0xffff800012345678 },
		{ 0x176, 0xffff800087654321 },
		{ 0xc0000081, 0x0023001000000000 },
		{ 0xc0000082, 0xffff800011111111 },
		{ 0xc0000083, 0xffff800022222222 },
		{ 0xc0000084, 0x47700 },
		{ 0xc0000100, 0x7fff12345000 },
		{ 0xc0000101, 0xffff812345678000 },
		{ 0xc0000102, 0xffff8abcdef00000 },
	};
	struct client_vm *v = new_guest("msr", NULL);
	struct client_vm *w = new_guest("msr", NULL);
	struct vcpu_reg_state *vrs = &v->exit.vrs;
	size_t i;

	/* Two VMs at once: neither sees the other's, nor the host's. */
	for (i = 0; i < NELEM(msr); i++) {
		CHECK_EQ(wrmsr(v, msr[i].index, msr[i].value), TRAP_NONE);
		reads(w, msr[i].index, 0);
	}
	for (i = 0; i < NELEM(msr); i++)
		reads(v, msr[i].index, msr[i].value);
	CHECK_EQ(vrs->vrs_msrs[VCPU_REGS_STAR], msr[3].value);
	CHECK_EQ(vrs->vrs_msrs[VCPU_REGS_LSTAR], msr[4].value);
	CHECK_EQ(vrs->vrs_msrs[VCPU_REGS_CSTAR], msr[5].value);
	CHECK_EQ(vrs->vrs_msrs[VCPU_REGS_SFMASK], msr[6].value);
	CHECK_EQ(vrs->vrs_sregs[VCPU_REGS_FS].vsi_base, msr[7].value);
	CHECK_EQ(vrs->vrs_sregs[VCPU_REGS_GS].vsi_base, msr[8].value);
	CHECK_EQ(vrs->vrs_msrs[VCPU_REGS_KGSBASE], msr[9].value);
}

static void
pat(void)
{
	struct client_vm *v = new_guest("msr", NULL);
	uint64_t value;
	int i;

	CHECK_EQ(rdmsr(v, 0x277, &value), TRAP_NONE);
	CHECK_EQ(wrmsr(v, 0x277, PAT_GOOD), TRAP_NONE);
	reads(v, 0x277, PAT_GOOD);
	for (i = 0; i < 8; i++) {
		CHECK_EQ(wrmsr(v, 0x277, 2ULL << 8 * i), GP0);
		CHECK_EQ(wrmsr(v, 0x277, 3ULL << 8 * i), GP0);
		CHECK_EQ(wrmsr(v, 0x277, 8ULL << 8 * i), GP0);
	}
	reads(v, 0x277, PAT_GOOD);
	CHECK_EQ(client_start(v, GUEST_LONG), 0);
	reads(v, 0x277, value);
}

static void
apicbase(void)
{
	struct client_vm *v = new_vm(4 * CLIENT_MIB, 2);
	int mode;

	CHECK_EQ(client_load_file(v, "/guests/msr.bin", NULL, &mode), 0);
	CHECK_EQ(client_start(v, mode), 0);
	reads(v, 0x1b, 0xfee00900);
	v->vcpu = 1;
	CHECK_EQ(client_start(v, mode), 0);
	run_to_io(v, VEI_DIR_OUT, 0x70, 1);
	set_gpr(v, VCPU_REGS_RCX, 0x1b);
	run_to_io(v, VEI_DIR_OUT, 0x71, 1);
	CHECK_EQ(gpr(v, VCPU_REGS_RAX), 0xfee00800);
	CHECK_EQ(gpr(v, VCPU_REGS_RDX), 0);
}

static void
tsc(void)
{
	run_done(new_guest("tsc", NULL));
}

static void
tsc_write(void)
{
	struct client_vm *v = new_guest("msr", NULL);
	uint64_t before, after;

	CHECK_EQ(rdmsr(v, 0x10, &before), TRAP_NONE);
	CHECK_EQ(wrmsr(v, 0x10, 0), TRAP_NONE);
	CHECK_EQ(rdmsr(v, 0x10, &after), TRAP_NONE);
	CHECK(after > before);
}

static void
scribble(void)
{
	struct client_vm *v = new_guest("msr-scribble", NULL);
	struct client_vm *w;
	uint32_t faults;

	faults = run_value(v);
	/* Every unlisted one faults once, on its read. */
	CHECK(faults > 0x800);
	run_done(v);
	w = new_guest("out", NULL);
	run_to_mark(w, VEI_DIR_OUT, 0x70, 1);
}

const struct clause exit_msr[] = {
	{ "4.4.unknown", "an unlisted MSR: RDMSR #GP, WRMSR ignored",
	    LAYER_EXIT, MATCH, unknown, NULL },
	{ "F16.constants", "0x17, 0x8B, 0x1B read constants, ignore writes",
	    LAYER_EXIT, FIX, constants, NULL },
	{ "F16.feature-control", "FEATURE_CONTROL is locked and off",
	    LAYER_EXIT, FIX, feature_control, NULL },
	{ "F16.vendor", "0x1A0, 0x9B, C0010055, C0011029 as 6.9 answered",
	    LAYER_EXIT, MATCH, vendor,
	    "SVM: 0x1A0 is #GP; VMX: C0010055 and C0011029 are" },
	{ "4.4.native", "system-call, SYSENTER and base MSRs are the guest's",
	    LAYER_EXIT, MATCH, native, NULL },
	{ "F16.pat", "PAT: validated, stored, reset by RESETCPU",
	    LAYER_EXIT, MATCH, pat, NULL },
	{ "F16.apicbase", "0x1B: BSP is set on VCPU 0 alone",
	    LAYER_EXIT, FIX, apicbase, NULL },
	{ "4.1.tsc", "RDTSC and MSR 0x10 are one counter",
	    LAYER_EXIT, MATCH, tsc, NULL },
	{ "F16.tsc-write", "a write of the TSC is ignored",
	    LAYER_EXIT, FIX, tsc_write, NULL },
	{ "F16.scribble", "a guest that writes to all MSRs harms nobody",
	    LAYER_EXIT, FIX, scribble, NULL },
	CLAUSE_END
};
