/* SPDX-License-Identifier: ISC */
/*
 * exit_event.c - exceptions: the guest's, the driver's, and their delivery.
 */
#include "exit_util.h"

#define GP0	TRAP(VMM_EX_GP, 0, 0)
#define UD	TRAP(VMM_EX_UD, 0, 0)
#define DB(len)	TRAP(VMM_EX_DB, 0, len)

/* TCG has no #XM, the last: an unmasked SSE exception does nothing there. */
static void
except(void)
{
	struct client_vm *v = new_guest("except", NULL);
	static const uint32_t want[] = {
		TRAP(VMM_EX_DE, 0, 0), TRAP(VMM_EX_BP, 0, 1), UD,
		TRAP(VMM_EX_NM, 0, 0), TRAP(0x80, 0, 2), GP0,
		TRAP(VMM_EX_GP, 0xfff8, 0), TRAP(VMM_EX_NP, 0x50, 0),
		TRAP(VMM_EX_SS, 0x50, 0), TRAP(VMM_EX_PF, 0, 0), 0x80000000,
		1, TRAP(VMM_EX_PF, 2, 0), TRAP_NONE,
	};
	uint32_t got;
	size_t i;

	for (i = 0; i < NELEM(want); i++) {
		note("value %zu", i);
		CHECK_EQ(run_value(v), want[i]);
	}
	got = run_value(v);
	note("got 0x%x", got);
	CHECK(got == TRAP(VMM_EX_XM, 0, 0) ||
	    (under_tcg() && got == TRAP_NONE));
	run_done(v);
}

static void
inject_long(void)
{
	struct client_vm *v = new_guest("inject", NULL);

	/* RFLAGS: CF was set by STC, IF and TF were clear. */
	RUN_VALUES(v, UD, GP0, GP0, 1, 0, UD, GP0, GP0, 1, 0,
	    UD, GP0, GP0, 1, 0);
}

static void
inject_prot(void)
{
	RUN_VALUES(new_guest("inject-prot", NULL), UD, GP0, GP0, 0);
}

static void
inject_real(void)
{
	RUN_VALUES(new_guest("inject-real", NULL), UD, GP0, GP0, GP0,
	    0);
}

#define FAR_STACK	0x201000	/* its page, never touched before */
#define FAR_IDT		0x202000

enum { UNTOUCHED, READONLY };

/*
 * One event with the stack and the IDT in pages that its delivery is the
 * first to touch, or that are read-only: RUN then says so, the client gives
 * the right back, and the event must arrive, once.
 */
static void
deliver(uint64_t event, uint32_t vector, uint32_t error, uint32_t len,
    int stack)
{
	uint64_t args[8] = { event, FAR_STACK, FAR_IDT };
	struct client_vm *v = new_guest("delivery", args);
	uint16_t irq = NO_IRQ;

	run_to_io(v, VEI_DIR_OUT, 0x70, 1);
	memcpy(v->mem + FAR_IDT, v->mem + TRAP_IDT, 4096);
	if (stack == READONLY)
		CHECK_EQ(client_ioc_mprotect(v->fd, v->id, 0,
		    FAR_STACK - 0x1000, 0x1000, 1), 0);
	if (event == 4) {
		run_to(v, NO_IRQ, CLIENT_HLT);
		irq = 0x41;
	}
	if (stack == READONLY) {
		run_to(v, irq, CLIENT_PROTECT);
		irq = NO_IRQ;
		CHECK_EQ(gpr(v, VCPU_REGS_RSP), FAR_STACK);
		CHECK_EQ(client_ioc_mprotect(v->fd, v->id, 0,
		    FAR_STACK - 0x1000, 0x1000, 3), 0);
	}
	run_to(v, irq, CLIENT_IO);
	CHECK_EQ(v->exit.vei.vei_port, GUEST_VALUE);
	CHECK_EQ(v->exit.vei.vei_data, vector);
	CHECK_EQ(run_value(v), error);
	CHECK_EQ(run_value(v), len);
	CHECK_EQ(run_value(v), 1);
	if (vector == VMM_EX_PF)
		CHECK_EQ(v->exit.vrs.vrs_crs[VCPU_REGS_CR2], 0x180000000);
	run_done(v);
}

static void
deliver_untouched(void)
{
	deliver(0, VMM_EX_UD, 0, 0, UNTOUCHED);
	deliver(1, VMM_EX_GP, 0, 0, UNTOUCHED);
	deliver(2, 0x80, 0, 2, UNTOUCHED);
	deliver(3, VMM_EX_PF, 2, 0, UNTOUCHED);
	deliver(5, VMM_EX_BP, 0, 1, UNTOUCHED);
	if (client_is_svm())
		deliver(6, VMM_EX_UD, 0, 0, UNTOUCHED);
	else
		deliver(6, VMM_EX_DB, 0, 1, UNTOUCHED);
}

static void
deliver_untouched_irq(void)
{
	deliver(4, 0x41, 0, 1, UNTOUCHED);
}

static void
deliver_readonly(void)
{
	deliver(0, VMM_EX_UD, 0, 0, READONLY);
	deliver(1, VMM_EX_GP, 0, 0, READONLY);
	deliver(2, 0x80, 0, 2, READONLY);
	deliver(3, VMM_EX_PF, 2, 0, READONLY);
	deliver(5, VMM_EX_BP, 0, 1, READONLY);
	if (client_is_svm())
		deliver(6, VMM_EX_UD, 0, 0, READONLY);
	else
		deliver(6, VMM_EX_DB, 0, 1, READONLY);
}

static void
deliver_readonly_irq(void)
{
	deliver(4, 0x41, 0, 1, READONLY);
}

/* The same in real mode: six bytes are pushed, whatever the vector. */
static void
deliver_real(void)
{
	static const struct {
		uint32_t	vector, offset;
	} event[] = {
		{ VMM_EX_UD, 0 }, { VMM_EX_GP, 0 }, { 0x1e, 2 },
		{ VMM_EX_DE, 0 }, { 0x1d, 1 }, { VMM_EX_BP, 1 },
	};
	struct client_vm *v;
	uint64_t args[8] = { 0 };
	uint16_t irq;

	for (args[0] = 0; args[0] < NELEM(event); args[0]++) {
		note("event %d", (int)args[0]);
		v = new_guest("delivery-real", args);
		irq = NO_IRQ;
		CHECK_EQ(client_ioc_mprotect(v->fd, v->id, 0, 0x30000, 0x1000,
		    1), 0);
		run_to_io(v, VEI_DIR_OUT, 0x70, 1);
		if (args[0] == 4) {
			run_to(v, NO_IRQ, CLIENT_HLT);
			irq = 0x1d;
		}
		run_to(v, irq, CLIENT_PROTECT);
		CHECK_EQ(gpr(v, VCPU_REGS_RSP) & 0xffff, 0x1000);
		CHECK_EQ(client_ioc_mprotect(v->fd, v->id, 0, 0x30000, 0x1000,
		    3), 0);
		CHECK_EQ(run_value(v), event[args[0]].vector);
		CHECK_EQ(run_value(v), event[args[0]].offset);
		CHECK_EQ(run_value(v), 0x1000 - 6 - 8);
		run_done(v);
		client_destroy(v);
	}
}

/* Delivery that can never succeed ends the VCPU, not the host. */
static void
deliver_nowhere(void)
{
	static const uint64_t place[][2] = {
		{ 0x80000000, 0 },		/* the stack */
		{ FAR_STACK, 0x80000000 },	/* the IDT */
	};
	uint64_t event;
	size_t i;

	for (i = 0; i < NELEM(place); i++)
		for (event = 0; event < 4; event++) {
			uint64_t args[8] = { event, place[i][0],
			    place[i][1] };
			struct client_vm *v = new_guest("delivery", args);

			run_to_io(v, VEI_DIR_OUT, 0x70, 1);
			run_fails(v, EINVAL);
		}
}

static void
step_with(const uint64_t *args)
{
	struct client_vm *v = new_guest("step", args);
	static const uint32_t before[] = {
		DB(1), 0xffff4ff0,		/* NOP: native */
		DB(2), 0xffff4ff0,		/* CPUID */
		DB(2), DB(2),			/* RDMSR, WRMSR */
		DB(2), DB(2),			/* OUT, IN of nobody */
	};
	static const uint32_t after[] = {
		DB(3), DB(3), DB(3), DB(3),	/* CR0, CR0, CR4, DR0 */
		DB(2), DB(2), DB(2),		/* INVD, WBINVD, CLTS */
		DB(3), 0xffff4ff0,		/* SMSW */
		GP0,
	};
	size_t i;

	for (i = 0; i < NELEM(before); i++) {
		note("value %zu before OUT", i);
		CHECK_EQ(run_value(v), before[i]);
	}
	run_to_io(v, VEI_DIR_OUT, 0x70, 1);
	CHECK_EQ(run_value(v), DB(2));
	run_to_io(v, VEI_DIR_IN, 0x71, 1);
	CHECK_EQ(run_value(v), DB(2));
	for (i = 0; i < NELEM(after); i++) {
		note("value %zu behind IN", i);
		CHECK_EQ(run_value(v), after[i]);
	}
	run_done(v);
}

static void
step(void)
{
	static const uint64_t cd[8] = { CR0_CD };

	step_with(NULL);
	step_with(cd);
}

static struct runner r;

/* A guest that faults for ever can be stopped by a signal and by TERM. */
static void
loops(const char *name)
{
	struct client_vm *v = new_guest(name, NULL);

	run_to_io(v, VEI_DIR_OUT, 0x70, 1);
	runner_start(&r, v, 0);
	wait_state(v, 0, VCPU_STATE_RUNNING);
	pause_ms(5);
	CHECK_EQ(vcpu_state(v->id, 0), VCPU_STATE_RUNNING);
	poke(r.thread);
	runner_join(&r);
	CHECK_EQ(r.v.run.vrp_exit_reason, VM_EXIT_NONE);
	runner_start(&r, v, 0);
	wait_state(v, 0, VCPU_STATE_RUNNING);
	CHECK_EQ(client_ioc_term(v->fd, v->id), 0);
	v->id = 0;
	runner_join(&r);
	CHECK_EQ(r.v.run.vrp_exit_reason, VM_EXIT_TERMINATED);
}

static void
db_loop(void)
{
	loops("db-loop");
}

static void
ac_loop(void)
{
	loops("ac-loop");
}

const struct clause exit_event[] = {
	{ "4.native", "the guest's own exceptions reach it as they are",
	    LAYER_EXIT, MATCH, except, "TCG raises no #XM" },
	{ "F1.long", "injected #UD and #GP(0) in 64-bit mode",
	    LAYER_EXIT, FIX, inject_long, NULL },
	{ "F1.prot", "the same in protected mode",
	    LAYER_EXIT, FIX, inject_prot, NULL },
	{ "F1.real", "the same in real mode, where no error code is pushed",
	    LAYER_EXIT, FIX, inject_real, NULL },
	{ "F1.step", "a single step over what the driver does: #DB with BS",
	    LAYER_EXIT, FIX, step, NULL },
	{ "6.delivery", "exceptions whose stack and IDT are first touched",
	    LAYER_EXIT, FIX, deliver_untouched,
	    "INT1: SVM #UD, VMX #DB" },
	{ "6.delivery-irq", "the same with an interrupt",
	    LAYER_EXIT, FIX, deliver_untouched_irq, NULL },
	{ "F20.delivery", "exceptions whose stack is read-only arrive once",
	    LAYER_EXIT, FIX, deliver_readonly,
	    "INT1: SVM #UD, VMX #DB" },
	{ "F20.delivery-irq", "the same with an interrupt",
	    LAYER_EXIT, FIX, deliver_readonly_irq, NULL },
	{ "F20.delivery-real", "the same in real mode: no error code",
	    LAYER_EXIT, FIX, deliver_real, NULL },
	{ "6.delivery-nowhere", "delivery outside of memory ends the VCPU",
	    LAYER_EXIT, MATCH, deliver_nowhere, NULL },
	{ "F17.db-loop", "#DB for ever can be stopped",
	    LAYER_EXIT, FIX, db_loop, NULL },
	{ "F17.ac-loop", "#AC for ever can be stopped",
	    LAYER_EXIT, FIX, ac_loop, NULL },
	CLAUSE_END
};
