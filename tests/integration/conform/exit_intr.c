/* SPDX-License-Identifier: ISC */
/*
 * exit_intr.c - external interrupts: vrp_irq, INTR, windows and shadows.
 */
#include "exit_util.h"

/* RUN with a vector must end with VALUE. */
static uint32_t
value_with_irq(struct client_vm *v, uint16_t irq)
{
	run_to(v, irq, CLIENT_IO);
	CHECK_EQ(v->exit.vei.vei_port, GUEST_VALUE);
	return (v->exit.vei.vei_data);
}

static void
irq_each(void)
{
	static const uint8_t vector[] = { 0x20, 0x40, 0x7f, 0x80, 0xff, 1, 2,
	    3, 6, 15, 19, 31 };
	struct client_vm *v = new_guest("irq", NULL);
	size_t i;

	run_to(v, NO_IRQ, CLIENT_HLT);
	for (i = 0; i < NELEM(vector); i++) {
		CHECK_EQ(v->run.vrp_irqready, 1);
		CHECK_EQ(value_with_irq(v, vector[i]), vector[i]);
		CHECK_EQ(v->run.vrp_irqready, 0);
		run_to(v, NO_IRQ, CLIENT_HLT);
		CHECK_EQ(gpr(v, VCPU_REGS_RIP), gpr(v, VCPU_REGS_RBX));
	}
}

/*
 * Vectors that, as exceptions, push an error code. TCG pushes none for an
 * injected interrupt either (EVENTINJ of type 0).
 */
static void
irq_no_error_code(void)
{
	static const uint8_t vector[] = { 8, 10, 11, 12, 13, 14, 17 };
	struct client_vm *v = new_guest("irq", NULL);
	size_t i;

	run_to(v, NO_IRQ, CLIENT_HLT);
	for (i = 0; i < NELEM(vector); i++) {
		CHECK_EQ(value_with_irq(v, vector[i]), vector[i]);
		run_to(v, NO_IRQ, CLIENT_HLT);
	}
}

static void
irq_low_byte(void)
{
	struct client_vm *v = new_guest("irq", NULL);

	run_to(v, NO_IRQ, CLIENT_HLT);
	CHECK_EQ(value_with_irq(v, 0x1241), 0x41);
}

/* RUNs `irq-queue` through its eight OUTs with these vectors. */
static struct client_vm *
queued(const uint16_t irq[8])
{
	struct client_vm *v = new_guest("irq-queue", NULL);
	int i;

	for (i = 0; i < 8; i++) {
		run_to(v, i == 0 ? NO_IRQ : irq[i - 1], CLIENT_IO);
		CHECK_EQ(v->exit.vei.vei_port, 0x70);
		CHECK_EQ(v->run.vrp_irqready, 0);
	}
	v->run.vrp_irq = irq[7];
	return (v);
}

static void
irq_order(void)
{
	static const uint16_t irq[8] = { 0x50, 0x90, 0x30, 0x90, 0x50, 0x20,
	    0xfe, 0x91 };
	struct client_vm *v = queued(irq);

	CHECK_EQ(value_with_irq(v, irq[7]), 0xfe);
	CHECK_EQ(v->run.vrp_irqready, 0);
	CHECK_EQ(run_value(v), 0x91);
	CHECK_EQ(run_value(v), 0x90);
	CHECK_EQ(run_value(v), 0x50);
	CHECK_EQ(run_value(v), 0x30);
	CHECK_EQ(run_value(v), 0x20);
	run_to_io(v, VEI_DIR_OUT, 0x71, 1);
	run_done(v);
}

static void
irq_waits(void)
{
	static const uint16_t irq[8] = { 0x33, NO_IRQ, NO_IRQ, NO_IRQ,
	    NO_IRQ, NO_IRQ, NO_IRQ, NO_IRQ };
	struct client_vm *v = queued(irq);

	CHECK_EQ(run_value(v), 0x33);
	run_to_io(v, VEI_DIR_OUT, 0x71, 1);
	run_done(v);
}

static void
irq_wakes_hlt(void)
{
	struct client_vm *v = new_guest("irq", NULL);

	/* Given before the first entry, with interrupts off. */
	CHECK_EQ(value_with_irq(v, 0x44), 0x44);
	run_to(v, NO_IRQ, CLIENT_HLT);
}

static void
irq_zero_kept_while_possible(void)
{
	struct client_vm *v = new_guest("irq", NULL);

	run_to(v, NO_IRQ, CLIENT_HLT);
	CHECK_EQ(value_with_irq(v, 0), 0);
	run_to(v, NO_IRQ, CLIENT_HLT);
}

static void
irq_zero_forgotten(void)
{
	static const uint16_t irq[8] = { 0, 0, 0, 0, 0, 0, 0, 0 };
	struct client_vm *v = queued(irq);

	run_to(v, 0, CLIENT_IO);
	CHECK_EQ(v->exit.vei.vei_port, 0x71);
	run_done(v);
}

static void
irq_beside_exception(void)
{
	struct client_vm *v = new_guest("irq-beside", NULL);
	uint32_t first, second;

	run_to_io(v, VEI_DIR_OUT, 0x70, 1);
	first = value_with_irq(v, 0x40);
	second = run_value(v);
	/* #DB goes first; its handler's gate is closed, so both are at 0. */
	CHECK_EQ(first, 1);
	CHECK_EQ(second, 0x40);
	run_to_io(v, VEI_DIR_OUT, 0x71, 1);
	run_done(v);
}

static void
irq_reset(void)
{
	static const uint16_t irq[8] = { 0x50, 0x60, 0x70, NO_IRQ, NO_IRQ,
	    NO_IRQ, NO_IRQ, NO_IRQ };
	struct client_vm *v = queued(irq);
	int i;

	CHECK_EQ(client_start(v, GUEST_LONG), 0);
	for (i = 0; i < 8; i++)
		run_to_io(v, VEI_DIR_OUT, 0x70, 1);
	run_to_io(v, VEI_DIR_OUT, 0x71, 1);
	run_done(v);
}

/* RESETCPU while the driver has a #DB to deliver. */
static void
exception_reset(void)
{
	struct client_vm *v = new_guest("irq-beside", NULL);

	run_to_io(v, VEI_DIR_OUT, 0x70, 1);
	CHECK_EQ(client_start(v, GUEST_LONG), 0);
	run_to_io(v, VEI_DIR_OUT, 0x70, 1);
	CHECK_EQ(run_value(v), 1);
	run_to_io(v, VEI_DIR_OUT, 0x71, 1);
	run_done(v);
}

/* RESETCPU while an event waits that could not be delivered. */
static void
event_reset(void)
{
	uint64_t args[8] = { 4, 0x201000, 0 };
	struct client_vm *v = new_guest("delivery", args);

	run_to_io(v, VEI_DIR_OUT, 0x70, 1);
	CHECK_EQ(client_ioc_mprotect(v->fd, v->id, 0, 0x200000, 0x1000, 1),
	    0);
	run_to(v, NO_IRQ, CLIENT_HLT);
	run_to(v, 0x41, CLIENT_PROTECT);
	CHECK_EQ(client_start(v, GUEST_LONG), 0);
	run_to_io(v, VEI_DIR_OUT, 0x70, 1);
	run_to(v, NO_IRQ, CLIENT_HLT);
}

/*
 * The access in the shadow faults, since its page is read-only; by then the
 * CPU is in the shadow. The client gives the right back, and a vector.
 */
static void
shadow(uint64_t kind)
{
	uint64_t args[8] = { kind, 0x200000 };
	struct client_vm *v = new_guest("irq-shadow", args);

	CHECK_EQ(client_ioc_mprotect(v->fd, v->id, 0, 0x200000, 0x1000, 1),
	    0);
	run_to(v, NO_IRQ, CLIENT_PROTECT);
	CHECK_EQ(gpr(v, VCPU_REGS_RIP), gpr(v, VCPU_REGS_RBX));
	CHECK_EQ(gpr(v, VCPU_REGS_RFLAGS) & 0x200, 0x200);
	CHECK_EQ(client_ioc_mprotect(v->fd, v->id, 0, 0x200000, 0x1000, 3),
	    0);
	CHECK_EQ(value_with_irq(v, 0x40), 0x40);
	/* movl %eax, (%rdi) is two bytes: it ran before the interrupt. */
	CHECK_EQ(run_value(v), 2);
	run_done(v);
	CHECK_EQ(*(uint32_t *)(v->mem + 0x200000), GUEST_DS);
}

static void
shadow_sti(void)
{
	shadow(0);
}

static void
shadow_mov_ss(void)
{
	shadow(1);
}

static void
window(void)
{
	struct client_vm *v = new_guest("window", NULL);

	run_to_io(v, VEI_DIR_OUT, 0x70, 1);
	CHECK_EQ(v->run.vrp_irqready, 0);
	CHECK_EQ(client_ioc_intr(v->fd, v->id, 0, 1), 0);
	run_to(v, NO_IRQ, CLIENT_WINDOW);
	CHECK_EQ(v->run.vrp_irqready, 1);
	CHECK_EQ(gpr(v, VCPU_REGS_RFLAGS) & 0x200, 0x200);
	/* Behind the instruction that follows STI. */
	CHECK_EQ(gpr(v, VCPU_REGS_RIP), gpr(v, VCPU_REGS_RBX));
	CHECK_EQ(client_ioc_intr(v->fd, v->id, 0, 0), 0);
	CHECK_EQ(value_with_irq(v, 0x33), 0x33);
	run_to_io(v, VEI_DIR_OUT, 0x71, 1);
	run_done(v);
}

static void
no_window(void)
{
	struct client_vm *v = new_guest("window", NULL);

	run_to_io(v, VEI_DIR_OUT, 0x70, 1);
	CHECK_EQ(client_ioc_intr(v->fd, v->id, 0, 1), 0);
	CHECK_EQ(client_ioc_intr(v->fd, v->id, 0, 0), 0);
	run_to_io(v, VEI_DIR_OUT, 0x71, 1);
	run_done(v);
}

/* The level is there; interrupts go on and off by WRITEREGS. */
static void
window_writeregs(void)
{
	struct client_vm *v = new_guest("window", NULL);
	uint64_t rip, flags;

	run_to_io(v, VEI_DIR_OUT, 0x70, 1);
	CHECK_EQ(client_ioc_intr(v->fd, v->id, 0, 1), 0);
	rip = gpr(v, VCPU_REGS_RIP);
	flags = gpr(v, VCPU_REGS_RFLAGS);
	set_gpr(v, VCPU_REGS_RFLAGS, flags | 0x200);
	run_to(v, NO_IRQ, CLIENT_WINDOW);
	CHECK_EQ(v->run.vrp_irqready, 1);
	/* TCG: one NOP runs in the shadow of the host's own STI. */
	CHECK_EQ(gpr(v, VCPU_REGS_RIP), rip + (under_tcg() ? 1 : 0));
	set_gpr(v, VCPU_REGS_RFLAGS, flags);
	set_gpr(v, VCPU_REGS_RIP, rip);
	run_to(v, NO_IRQ, CLIENT_WINDOW);
	CHECK_EQ(gpr(v, VCPU_REGS_RIP), gpr(v, VCPU_REGS_RBX));
	set_gpr(v, VCPU_REGS_RFLAGS, flags);
	run_to_io(v, VEI_DIR_OUT, 0x71, 1);
	CHECK_EQ(v->run.vrp_irqready, 0);
	run_done(v);
}

static struct runner r;

/* A guest in its loop with interrupts on or off, RUN by a thread. */
static struct client_vm *
spinning(uint64_t interrupts)
{
	uint64_t args[8] = { interrupts };
	struct client_vm *v = new_guest("spin", args);

	run_to_io(v, VEI_DIR_OUT, 0x70, 1);
	runner_start(&r, v, 0);
	wait_state(v, 0, VCPU_STATE_RUNNING);
	pause_ms(2);
	return (v);
}

static void
intr_running(void)
{
	struct client_vm *v = spinning(1);

	CHECK_EQ(client_ioc_intr(v->fd, v->id, 0, 1), 0);
	runner_join(&r);
	CHECK_EQ(r.v.run.vrp_exit_reason, raw_code(CLIENT_WINDOW));
	CHECK_EQ(r.v.run.vrp_irqready, 1);
	CHECK_EQ(vcpu_state(v->id, 0), VCPU_STATE_STOPPED);
}

static void
intr_masked(void)
{
	struct client_vm *v = spinning(0);

	CHECK_EQ(client_ioc_intr(v->fd, v->id, 0, 1), 0);
	pause_ms(10);
	CHECK_EQ(vcpu_state(v->id, 0), VCPU_STATE_RUNNING);
	poke(r.thread);
	runner_join(&r);
	CHECK_EQ(r.v.run.vrp_exit_reason, VM_EXIT_NONE);
	CHECK_EQ(r.v.run.vrp_irqready, 0);
}

static void
intr_level(void)
{
	struct client_vm *v = spinning(1);
	int i;

	CHECK_EQ(client_ioc_intr(v->fd, v->id, 0, 1), 0);
	runner_join(&r);
	for (i = 0; i < 3; i++) {
		run_to(v, NO_IRQ, CLIENT_WINDOW);
		CHECK_EQ(v->run.vrp_irqready, 1);
	}
	/* RESETCPU keeps the level. */
	CHECK_EQ(client_start(v, GUEST_LONG), 0);
	run_to_io(v, VEI_DIR_OUT, 0x70, 1);
	run_to(v, NO_IRQ, CLIENT_WINDOW);
	CHECK_EQ(client_ioc_intr(v->fd, v->id, 0, 0), 0);
	runner_start(&r, v, 0);
	wait_state(v, 0, VCPU_STATE_RUNNING);
	pause_ms(5);
	CHECK_EQ(vcpu_state(v->id, 0), VCPU_STATE_RUNNING);
	poke(r.thread);
	runner_join(&r);
	CHECK_EQ(r.v.run.vrp_exit_reason, VM_EXIT_NONE);
}

const struct clause exit_intr[] = {
	{ "3.2.irq", "vrp_irq: each vector arrives, at the RIP behind HLT",
	    LAYER_EXIT, MATCH, irq_each, NULL },
	{ "F18.no-error-code", "vrp_irq below 32 is an interrupt all the same",
	    LAYER_EXIT, FIX, irq_no_error_code, NULL },
	{ "3.2.irq-low-byte", "vrp_irq counts by its low 8 bits",
	    LAYER_EXIT, MATCH, irq_low_byte, NULL },
	{ "F18.order", "waiting vectors: highest first, none lost or twice",
	    LAYER_EXIT, FIX, irq_order, NULL },
	{ "F18.waits", "a vector waits over many RUNs for IF=1",
	    LAYER_EXIT, FIX, irq_waits, NULL },
	{ "F18.hlt", "a vector that waits wakes HLT without an exit",
	    LAYER_EXIT, FIX, irq_wakes_hlt, NULL },
	{ "F18.zero", "vector 0 is injected at this call's first entry",
	    LAYER_EXIT, MATCH, irq_zero_kept_while_possible, NULL },
	{ "F18.zero-forgotten", "or forgotten, since clients pass zeros",
	    LAYER_EXIT, MATCH, irq_zero_forgotten, NULL },
	{ "F18.beside", "a vector beside an exception comes after it",
	    LAYER_EXIT, FIX, irq_beside_exception, NULL },
	{ "F5.irq-queue", "RESETCPU forgets the waiting vectors",
	    LAYER_EXIT, FIX, irq_reset, NULL },
	{ "F5.stepped", "and an exception it had to deliver",
	    LAYER_EXIT, FIX, exception_reset, NULL },
	{ "F5.event", "and an event whose delivery was interrupted",
	    LAYER_EXIT, FIX, event_reset, NULL },
	{ "F19.sti", "no interrupt in the shadow of STI",
	    LAYER_EXIT, FIX, shadow_sti, NULL },
	{ "F19.mov-ss", "no interrupt in the shadow of MOV SS",
	    LAYER_EXIT, FIX, shadow_mov_ss, NULL },
	{ "F25.window", "INTR with IF=0: RUN returns when interrupts are on",
	    LAYER_EXIT, FIX, window, "SVM 0x64, VMX 7" },
	{ "F25.writeregs", "and when the client turns them on",
	    LAYER_EXIT, FIX, window_writeregs,
	    "SVM 0x64, VMX 7; TCG: one instruction later" },
	{ "3.6.taken-back", "INTR 0 takes the request back",
	    LAYER_EXIT, MATCH, no_window, NULL },
	{ "F25.running", "INTR ends the RUN of another thread",
	    LAYER_EXIT, FIX, intr_running, "SVM 0x64, VMX 7" },
	{ "3.6.masked", "INTR does not end it while IF=0",
	    LAYER_EXIT, MATCH, intr_masked, NULL },
	{ "3.6.level", "INTR is a level, and RESETCPU keeps it",
	    LAYER_EXIT, MATCH, intr_level, NULL },
	CLAUSE_END
};
