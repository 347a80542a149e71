/* SPDX-License-Identifier: ISC */
/*
 * exit_mode.c - operating modes, privilege levels, task switches.
 */
#include "exit_util.h"

#define GP0	TRAP(VMM_EX_GP, 0, 0)
#define UD	TRAP(VMM_EX_UD, 0, 0)

static void
real(void)
{
	RUN_VALUES(new_guest("real", NULL), 0, 2, 0, GUEST_STACK - 0x10,
	    0x800, TRAP(VMM_EX_DE, 0, 0), TRAP(VMM_EX_BP, 0, 1),
	    TRAP(VMM_EX_BR, 0, 0), 0x1234);
}

static void
prot(void)
{
	RUN_VALUES(new_guest("prot", NULL), 1, 0, GUEST_TR, 0xfeedf00d, UD,
	    TRAP(0x80, 0, 2), TRAP(VMM_EX_GP, 0x123c, 0));
}

static void
pae(void)
{
	struct client_vm *v = new_guest("pae", NULL);
	uint32_t nonce = (uint32_t)v->nonce;
	const uint32_t want[] = { 0x20, 0x80000001, GUEST_PDPT, nonce, nonce,
	    TRAP(VMM_EX_PF, 0, 0), 0x40000000 };

	run_values(v, want, NELEM(want));
}

static void
longmode(void)
{
	struct client_vm *v = new_guest("long", NULL);
	uint32_t nonce = (uint32_t)v->nonce;
	const uint32_t want[] = { 0x500, 0x80000001, GUEST_PML4, GUEST_CS,
	    GUEST_DS, 0x100, 0xff, nonce, TRAP(VMM_EX_PF, 0, 0), 0x56789abc,
	    0x1234, GP0 };

	run_values(v, want, NELEM(want));
}

static void
climb(void)
{
	struct client_vm *v = new_guest("climb", NULL);
	uint32_t at;

	for (at = 1; at <= 9; at++) {
		note("step %u", at);
		CHECK_EQ(run_value(v), at);
		CHECK_EQ(run_value(v), CPUID_EBX_40000000);
		CHECK_EQ(v->exit.cpl, 0);
		if (at == 3 || at == 4)
			CHECK_EQ(run_value(v), (uint32_t)v->nonce);
		if (at == 5)
			CHECK_EQ(run_value(v), 0x500);
	}
	run_done(v);
	CHECK_EQ(v->exit.vrs.vrs_crs[VCPU_REGS_CR0] & 0x80000001, 0);
}

static void
user(void)
{
	struct client_vm *v = new_guest("user", NULL);
	int i;

	CHECK_EQ(run_value(v), 0x55);
	CHECK_EQ(v->exit.cpl, 3);
	CHECK_EQ(run_value(v), CPUID_EBX_40000000);
	CHECK_EQ(v->exit.cpl, 3);
	for (i = 0; i < 18; i++) {
		note("privileged instruction %d", i);
		CHECK_EQ(run_value(v), GP0);
		CHECK_EQ(v->exit.cpl, 0);
	}
	for (i = 0; i < 3; i++)		/* VMMCALL, MONITOR, MWAIT */
		CHECK_EQ(run_value(v), UD);
	CHECK_EQ(run_value(v), TRAP(VMM_EX_UD, 0, 3));
	CHECK_EQ(run_value(v), under_tcg() ? TRAP(VMM_EX_UD, 0, 7) :
	    TRAP(VMM_EX_AC, 0, 0));
	run_done(v);
	CHECK_EQ(v->exit.cpl, 0);
}

static void
v86(void)
{
	struct client_vm *v = new_guest("v86", NULL);

	CHECK_EQ(run_value(v), 0x86);
	CHECK_EQ(v->exit.cpl, 3);
	CHECK_EQ(gpr(v, VCPU_REGS_RFLAGS) & 0x20000, 0x20000);
	CHECK_EQ(run_value(v), CPUID_EBX_40000000);
	CHECK_EQ(v->exit.cpl, 3);
	CHECK_EQ(run_value(v), VMM_EX_GP);
	CHECK_EQ(run_value(v), VMM_EX_GP);
	run_done(v);
	CHECK_EQ(v->exit.cpl, 0);
}

/* A segment register as the guest `segments` should have left it. */
static void
segment_is(const struct client_vm *v, int sreg, uint16_t sel, uint64_t base)
{
	const struct vcpu_segment_info *s = &v->exit.vrs.vrs_sregs[sreg];

	note("segment %d", sreg);
	CHECK_EQ(s->vsi_sel, sel);
	/* TCG: LLDT of null clears the limit, and keeps the rights. */
	if (sel == 0 && sreg == VCPU_REGS_LDTR && under_tcg())
		CHECK_EQ(s->vsi_limit, 0);
	else
		CHECK_EQ(s->vsi_ar >> 16 & 1, sel == 0);	/* unusable */
	if (sel != 0)
		CHECK_EQ(s->vsi_base, base);
}

static void
segments(void)
{
	static const int data[] = { VCPU_REGS_DS, VCPU_REGS_ES, VCPU_REGS_GS,
	    VCPU_REGS_SS };
	struct client_vm *v = new_guest("segments", NULL);
	int round;
	size_t i;

	for (round = 0; round < 3; round++) {
		CHECK_EQ(run_value(v), CPUID_EBX_40000000);
		run_to_io(v, VEI_DIR_OUT, 0x70, 1);
		CHECK_EQ(v->exit.cpl, 0);
		segment_is(v, VCPU_REGS_LDTR, round == 1 ? 0x60 : 0, 0x30000);
		segment_is(v, VCPU_REGS_FS, round == 1 ? 4 : 0, 0x12345000);
		for (i = 0; i < NELEM(data); i++)
			segment_is(v, data[i], round == 2 ? GUEST_DS : 0, 0);
	}
	run_done(v);
}

static void
compat(void)
{
	RUN_VALUES(new_guest("compat", NULL), CPUID_EBX_40000000, 0,
	    0x400, 0, 0x400, 0);
}

static void
task(void)
{
	struct client_vm *v = new_guest("task", NULL);

	if (client_is_svm())
		RUN_VALUES(v, 0x7a51, 0x50);
	else {
		run_fails(v, EINVAL);
		CHECK_EQ(gpr(v, VCPU_REGS_RIP), gpr(v, VCPU_REGS_RBX));
		CHECK_EQ(v->exit.vrs.vrs_sregs[VCPU_REGS_TR].vsi_sel,
		    GUEST_TR);
	}
}

const struct clause exit_mode[] = {
	{ "4.mode.real", "a guest that starts in real mode",
	    LAYER_EXIT, MATCH, real, NULL },
	{ "F22.guest", "a guest that starts in protected mode without paging",
	    LAYER_EXIT, FIX, prot, NULL },
	{ "4.mode.pae", "a guest that starts with PAE paging; its PDPTEs",
	    LAYER_EXIT, MATCH, pae, NULL },
	{ "4.mode.long", "a guest that starts in 64-bit mode",
	    LAYER_EXIT, MATCH, longmode, NULL },
	{ "4.mode.climb", "a guest that goes through all modes by itself",
	    LAYER_EXIT, MATCH, climb, NULL },
	{ "F9.user", "cpl is 3 in ring 3; what ring 3 may not do is #GP",
	    LAYER_EXIT, FIX, user, "TCG checks no alignment" },
	{ "F9.v86", "cpl is 3 in virtual-8086 mode",
	    LAYER_EXIT, FIX, v86, NULL },
	{ "C3.segments", "null selectors and an LDT, from exit to entry",
	    LAYER_EXIT, MATCH, segments,
	    "TCG: LLDT of null keeps the rights" },
	{ "4.mode.compat", "compatibility mode: operands of 32 bits",
	    LAYER_EXIT, MATCH, compat, NULL },
	{ "4.2.task", "a task switch",
	    LAYER_EXIT, MATCH, task, "SVM: native; VMX: ends the VCPU" },
	CLAUSE_END
};
