/* SPDX-License-Identifier: ISC */
/*
 * exit_cr.c - control registers, EFER, XCR0 and debug registers.
 */
#include "exit_util.h"

#define BIT(n)	(1U << (n))
#define GP0	TRAP(VMM_EX_GP, 0, 0)
#define UD	TRAP(VMM_EX_UD, 0, 0)

static void
cr0(void)
{
	struct client_vm *v = new_guest("cr0", NULL);

	RUN_VALUES(v,
	    GP0, GP0, GP0, GP0, GP0, 0,		/* bad; CR0 as before */
	    0, 0, 0, 0, 0, 0,			/* read back */
	    0x10,				/* ET */
	    0, TRAP(VMM_EX_NM, 0, 0),		/* TS */
	    0, TRAP(VMM_EX_NM, 0, 0),		/* EM */
	    0, TRAP(VMM_EX_PF, 3, 0),		/* WP */
	    0, TRAP_NONE);
}

static void
cr4(void)
{
	struct client_vm *v = new_guest("cr4", NULL);
	uint32_t c1, d1, b7, c7, allowed, got;
	int bit;

	c1 = run_value(v);
	d1 = run_value(v);
	b7 = run_value(v);
	c7 = run_value(v);
	/* APM Vol. 2 3.1.3 "CR4 Register": bit by feature. PAE is on. */
	allowed = BIT(8);
	allowed |= (d1 & BIT(1)) ? BIT(0) | BIT(1) : 0;	/* VME, PVI */
	allowed |= (d1 & BIT(4)) ? BIT(2) : 0;		/* TSD */
	allowed |= (d1 & BIT(2)) ? BIT(3) : 0;		/* DE */
	allowed |= (d1 & BIT(3)) ? BIT(4) : 0;		/* PSE */
	allowed |= (d1 & BIT(7)) ? BIT(6) : 0;		/* MCE */
	allowed |= (d1 & BIT(13)) ? BIT(7) : 0;		/* PGE */
	allowed |= (d1 & BIT(24)) ? BIT(9) : 0;		/* OSFXSR */
	allowed |= (d1 & BIT(25)) ? BIT(10) : 0;	/* OSXMMEXCPT */
	allowed |= (c7 & BIT(2)) ? BIT(11) : 0;		/* UMIP */
	allowed |= (b7 & BIT(0)) ? BIT(16) : 0;		/* FSGSBASE */
	allowed |= (c1 & BIT(26)) ? BIT(18) : 0;	/* OSXSAVE */
	allowed |= (b7 & BIT(7)) ? BIT(20) : 0;		/* SMEP */
	allowed |= (b7 & BIT(20)) ? BIT(21) : 0;	/* SMAP */
	for (bit = 0; bit < 64; bit++) {
		got = run_value(v);
		note("CR4 bit %d", bit);
		CHECK_EQ(got, bit < 32 && (allowed >> bit & 1) ? TRAP_NONE :
		    GP0);
	}
	CHECK_EQ(run_value(v), c1 >> 26 & 1);	/* OSXSAVE on */
	CHECK_EQ(run_value(v), 0);		/* and off */
	CHECK_EQ(run_value(v), 0);
	run_done(v);
}

static void
activate(void)
{
	RUN_VALUES(new_guest("activate", NULL), GP0, 0, 0x500, GP0, GP0);
}

static void
cr3(void)
{
	struct client_vm *v = new_guest("cr3", NULL);

	CHECK_EQ(run_value(v), 0x11111111);
	CHECK_EQ(run_value(v), 0x22222222);
	CHECK_EQ(run_value(v), 0x11111111);
	run_to_io(v, VEI_DIR_OUT, 0x70, 1);
	if (under_tcg())
		run_fails(v, EINVAL);
	else
		RUN_VALUES(v, GP0);
}

/* Twice: CD is the host's, so with it set reads of CR0 are emulated too. */
static void
cr_forms(void)
{
	static const uint64_t cd[8] = { CR0_CD };

	RUN_VALUES(new_guest("cr-forms", NULL), UD, UD, UD);
	RUN_VALUES(new_guest("cr-forms", cd), UD, UD, UD);
}

/* Up to OUT 0x70, where CR8 is 15. */
static struct client_vm *
at_cr8(void)
{
	struct client_vm *v = new_guest("cr8", NULL);
	uint32_t i;

	for (i = 0; i < 16; i++)
		CHECK_EQ(run_value(v), i);
	CHECK_EQ(run_value(v), GP0);
	run_to_io(v, VEI_DIR_OUT, 0x70, 1);
	return (v);
}

static void
cr8(void)
{
	struct client_vm *v = at_cr8();
	struct vcpu_reg_state vrs;

	CHECK_EQ(v->exit.vrs.vrs_crs[VCPU_REGS_CR8], 15);
	CHECK_EQ(client_ioc_readregs(v->fd, v->id, 0, VM_RWREGS_CRS, &vrs),
	    0);
	CHECK_EQ(vrs.vrs_crs[VCPU_REGS_CR8], 15);
	vrs.vrs_crs[VCPU_REGS_CR8] = 6;
	CHECK_EQ(client_ioc_writeregs(v->fd, v->id, 0, VM_RWREGS_CRS, &vrs),
	    0);
	CHECK_EQ(run_value(v), 6);
}

static void
cr8_interrupt(void)
{
	struct client_vm *v = at_cr8();

	CHECK_EQ(run_value(v), 15);
	run_to(v, 0x21, CLIENT_IO);
	CHECK_EQ(v->exit.vei.vei_data, 0x21);
	run_done(v);
}

static void
efer(void)
{
	struct client_vm *v = new_guest("efer", NULL);

	RUN_VALUES(v, 0x500, 0,		/* LME, LMA; nothing of the host's */
	    TRAP_NONE, 0xd01,
	    0xd01,			/* no SVME, written or not */
	    GP0, GP0, GP0, 0x110e);	/* #PF: P, fetch */
}

/*
 * TCG does not intercept XSETBV, so there the guest may set what the host
 * has, AVX-512 (3) and PKRU (4), until its next exit: by GET it is 1 again.
 */
static void
xsetbv(void)
{
	struct client_vm *v = new_guest("xsetbv", NULL);
	uint32_t mask, got, i;

	if ((run_value(v) & BIT(26)) == 0)
		SKIP("the host has no XSAVE");
	CHECK_EQ(run_value(v), UD);
	mask = run_value(v);
	CHECK_EQ(mask & ~7U, 0);
	run_value(v);
	CHECK_EQ(run_value(v), 0);
	CHECK_EQ(run_value(v), 1);
	for (i = 0; i < 7; i++) {
		got = run_value(v);
		note("bad value %u", i);
		CHECK(got == GP0 || (under_tcg() && (i == 3 || i == 4)));
	}
	CHECK_EQ(run_value(v), 1);
	CHECK_EQ(run_value(v), TRAP_NONE);
	CHECK_EQ(run_value(v), 3);
	CHECK_EQ(run_value(v), mask == 7 ? TRAP_NONE : GP0);
	CHECK_EQ(run_value(v), mask);
	CHECK_EQ(v->exit.vrs.vrs_crs[VCPU_REGS_XCR0], mask);
	run_done(v);
}

/* Called after a guest had its address in DR0, armed for execution. */
static int __attribute__((noinline))
bait(int x)
{
	__asm__ volatile ("" : "+r" (x));
	return (x + 1);
}

/* Up to OUT 0x70 of the guest `dr`. */
static struct client_vm *
at_dr(void)
{
	uint64_t args[8] = { (uintptr_t)bait };
	struct client_vm *v = new_guest("dr", args);

	CHECK_EQ(run_value(v), (uint32_t)(uintptr_t)bait);
	CHECK_EQ(run_value(v), 0x1111);
	CHECK_EQ(run_value(v), 0x2222);
	CHECK_EQ(run_value(v), 0x3333);
	CHECK_EQ(run_value(v), 0xffff0ff0);
	CHECK_EQ(run_value(v), 0x402);
	CHECK_EQ(run_value(v), GP0);
	CHECK_EQ(run_value(v), GP0);
	CHECK_EQ(run_value(v), UD);			/* DR4, DE */
	CHECK_EQ(run_value(v), TRAP_NONE);		/* DR5 is DR7 */
	CHECK_EQ(run_value(v), TRAP(VMM_EX_DB, 0, 0));	/* GD */
	CHECK_EQ(run_value(v), 0xffff2ff0);		/* BD */
	run_to_io(v, VEI_DIR_OUT, 0x70, 1);
	return (v);
}

static void
dr(void)
{
	struct client_vm *v = at_dr();
	struct vcpu_reg_state vrs;

	CHECK_EQ(v->exit.vrs.vrs_drs[VCPU_REGS_DR0], (uintptr_t)bait);
	CHECK_EQ(v->exit.vrs.vrs_drs[VCPU_REGS_DR3], 0x3333);
	CHECK_EQ(v->exit.vrs.vrs_drs[VCPU_REGS_DR7], 0x402);
	CHECK_EQ(client_ioc_readregs(v->fd, v->id, 0, VM_RWREGS_DRS, &vrs),
	    0);
	CHECK_EQ(vrs.vrs_drs[VCPU_REGS_DR0], (uintptr_t)bait);
	vrs.vrs_drs[VCPU_REGS_DR0] = 0x123456789abc;
	vrs.vrs_drs[VCPU_REGS_DR7] = 0x400;
	CHECK_EQ(client_ioc_writeregs(v->fd, v->id, 0, VM_RWREGS_DRS, &vrs),
	    0);
	CHECK_EQ(run_value64(v), 0x123456789abc);
	CHECK_EQ(run_value(v), 0x400);
	run_done(v);
}

static void
dr_leak(void)
{
	struct client_vm *v = at_dr();

	CHECK_EQ(bait(41), 42);
	CHECK_EQ(run_value64(v), (uintptr_t)bait);
	CHECK_EQ(bait(1), 2);
}

const struct clause exit_cr[] = {
	{ "F1.cr0", "CR0: faults, read-back, CD and NW shadowed, WP in force",
	    LAYER_EXIT, FIX, cr0, NULL },
	{ "F14.cr4", "CR4: a bit whose feature is hidden is #GP",
	    LAYER_EXIT, FIX, cr4, NULL },
	{ "4.5.activate", "wrong ways into and out of long mode are #GP",
	    LAYER_EXIT, MATCH, activate, NULL },
	{ "4.5.cr3", "MOV CR3 and INVLPG act at once; a bad CR3",
	    LAYER_EXIT, MATCH, cr3, "TCG ends the VCPU at the bad CR3" },
	{ "4.5.forms", "MOV CR with all registers; CLTS, LMSW, SMSW",
	    LAYER_EXIT, MATCH, cr_forms, NULL },
	{ "F28.guest", "CR8: four bits, read back, in READREGS and WRITEREGS",
	    LAYER_EXIT, FIX, cr8, NULL },
	{ "F28.interrupt", "CR8 never holds vrp_irq back",
	    LAYER_EXIT, FIX, cr8_interrupt, NULL },
	{ "F11.guest-efer", "EFER: SVME hidden, reserved bits and LME are #GP",
	    LAYER_EXIT, FIX, efer, NULL },
	{ "4.6.xsetbv", "XSETBV: #GP for what the guest may not have",
	    LAYER_EXIT, FIX, xsetbv,
	    "TCG does not intercept it: its own checks answer" },
	{ "4.1.dr", "debug registers: the guest's own, and the client's view",
	    LAYER_EXIT, MATCH, dr, NULL },
	{ "F17.dr-leak", "a guest's breakpoint does not stop the host",
	    LAYER_EXIT, FIX, dr_leak, NULL },
	CLAUSE_END
};
