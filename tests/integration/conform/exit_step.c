/* SPDX-License-Identifier: ISC */
/*
 * exit_step.c - single steps and breakpoints of the guest's own.
 */
#include "exit_util.h"

#define UD	TRAP(VMM_EX_UD, 0, 0)
#define DB(len)	TRAP(VMM_EX_DB, 0, len)
#define BS	0xffff4ff0	/* DR6 of a step */

#define FAR	0x300000UL	/* a page that the client forbids */
#define PAGE	4096UL

/* The next `n` VALUEs. */
static void
values(struct client_vm *v, const uint32_t *want, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		note("value %zu of %zu", i, n);
		CHECK_EQ(run_value(v), want[i]);
	}
}
#define VALUES(v, ...) do {						\
	static const uint32_t want_[] = { __VA_ARGS__ };		\
	values(v, want_, NELEM(want_));					\
} while (0)

static void
far_page(struct client_vm *v, int prot)
{
	CHECK_EQ(client_ioc_mprotect(v->fd, v->id, 0, FAR, PAGE, prot), 0);
}

/* A store to FAR must exit, twice the same; then it may happen. */
static void
store_forbidden(struct client_vm *v)
{
	uint64_t rip;

	run_to(v, NO_IRQ, CLIENT_PROTECT);
	rip = gpr(v, VCPU_REGS_RIP);
	CHECK_EQ(gpr(v, VCPU_REGS_RFLAGS) & 0x100, 0x100);
	run_to(v, NO_IRQ, CLIENT_PROTECT);
	CHECK_EQ(gpr(v, VCPU_REGS_RIP), rip);
	far_page(v, 3);
}

static void
step_more(void)
{
	uint64_t args[8] = { FAR };
	struct client_vm *v = new_guest("step-more", args);

	far_page(v, 1);
	VALUES(v, DB(2), BS);
	store_forbidden(v);
	VALUES(v, DB(2), BS);
	far_page(v, 1);
	store_forbidden(v);
	VALUES(v, DB(3), BS);
	VALUES(v, DB(0), 2);			/* REP MOVSB, ECX */
	VALUES(v, TRAP(0x80, 0, 2), UD, DB(1), BS);
	CHECK_EQ(run_value(v), under_tcg() ? DB(2) : DB(1));	/* STI */
	run_to(v, NO_IRQ, CLIENT_HLT);
	VALUES(v, DB(1), BS);
	VALUES(v, DB(3), BS, DB(4), BS);	/* MOV SS and NOP, CPUID */
	run_to_io(v, VEI_DIR_OUT, 0x70, 1);
	VALUES(v, DB(4), BS, DB(4));		/* OUT, a store */
	far_page(v, 1);
	store_forbidden(v);
	VALUES(v, DB(5), BS, 14);
	run_done(v);
}

static void
step_user(void)
{
	static const uint64_t args[8] = { 1 };

	RUN_VALUES(new_guest("user", args), DB(2), DB(1));
}

static void
step_irq(void)
{
	struct client_vm *v = new_guest("step-irq", NULL);

	run_to_io(v, VEI_DIR_OUT, 0x70, 1);
	set_gpr(v, VCPU_REGS_RFLAGS, gpr(v, VCPU_REGS_RFLAGS) | 0x100);
	run_to(v, 0x40, CLIENT_IO);
	CHECK_EQ(v->exit.vei.vei_data, 0x10040);
	CHECK_EQ(gpr(v, VCPU_REGS_RFLAGS) & 0x100, 0);
	CHECK_EQ(run_value(v), 0x10101);
	run_to_io(v, VEI_DIR_OUT, 0x71, 1);
	run_done(v);
}

/* DR6 with these of B0 to B3, and BS. */
#define HIT(b)	(0x0ff0 | (b))

static void
breaks(void)
{
	uint64_t args[8] = { FAR };
	struct client_vm *v = new_guest("breaks", args);

	far_page(v, 1);
	VALUES(v, HIT(1), HIT(1), HIT(1), HIT(2), 5);
	VALUES(v, DB(7), HIT(1), DB(7), HIT(2), TRAP_NONE, HIT(0),
	    DB(7), HIT(4), DB(8), HIT(8), TRAP_NONE, HIT(0), DB(7), HIT(2));
	run_to(v, NO_IRQ, CLIENT_PROTECT);
	far_page(v, 3);
	VALUES(v, DB(2), HIT(4), DB(7), HIT(0x4002), DB(9), HIT(2), 14);
	run_done(v);
}

/* TCG arms no breakpoint that it loads from the VMCB. */
static void
breaks_tcg(void)
{
	uint64_t args[8] = { FAR };
	struct client_vm *v = new_guest("breaks", args);
	int i;

	VALUES(v, HIT(0), HIT(0), HIT(0), HIT(0), 0);
	for (i = 0; i < 8; i++)
		VALUES(v, TRAP_NONE, HIT(0));
	VALUES(v, DB(7), HIT(0x4000), TRAP_NONE, HIT(0), 1);
	run_done(v);
}

static void
breakpoints(void)
{
	if (under_tcg())
		breaks_tcg();
	else
		breaks();
}

const struct clause exit_step[] = {
	{ "F1.step-more", "one #DB a step: faults between, MOV SS, STI, HLT",
	    LAYER_EXIT, FIX, step_more,
	    "TCG: STI holds the #DB back, too" },
	{ "F1.step-user", "steps in ring 3",
	    LAYER_EXIT, FIX, step_user, NULL },
	{ "F18.step", "a vector that comes while the guest is stepped",
	    LAYER_EXIT, FIX, step_irq, NULL },
	{ "4.1.breaks", "breakpoints of the guest: execution, reads, writes",
	    LAYER_EXIT, MATCH, breakpoints, "TCG arms none" },
	CLAUSE_END
};
