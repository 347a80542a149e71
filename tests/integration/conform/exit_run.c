/* SPDX-License-Identifier: ISC */
/*
 * exit_run.c - RUN: how it returns, and what a running VCPU allows.
 */
#include "exit_util.h"

static void
hlt(void)
{
	struct client_vm *v = new_guest("hlt", NULL);
	int i;

	for (i = 0; i < 3; i++) {
		run_to(v, NO_IRQ, CLIENT_HLT);
		CHECK_EQ(v->run.vrp_irqready, 1);
		CHECK_EQ(gpr(v, VCPU_REGS_RIP), gpr(v, VCPU_REGS_RBX));
	}
	run_done(v);
	CHECK_EQ(v->run.vrp_irqready, 1);
}

/* A VCPU that is TERMINATED, but not its VM. */
static struct client_vm *
terminated(void)
{
	struct client_vm *v = new_guest("hlt-if0", NULL);

	memset(&v->exit, 0xee, sizeof(v->exit));
	run_fails(v, EIO);
	return (v);
}

static void
hlt_if0(void)
{
	terminated();
}

static void
terminated_vcpu(void)
{
	struct client_vm *v = terminated();
	struct vcpu_reg_state vrs;

	CHECK_EQ(client_run(v, NO_IRQ), EBUSY);
	CHECK_EQ(client_start(v, GUEST_REAL), EBUSY);
	memset(&vrs, 0, sizeof(vrs));
	CHECK_EQ(client_ioc_readregs(v->fd, v->id, 0, VM_RWREGS_ALL, &vrs),
	    0);
	CHECK(vrs.vrs_gprs[VCPU_REGS_RIP] >= GUEST_ENTRY);
	CHECK_EQ(client_ioc_writeregs(v->fd, v->id, 0, VM_RWREGS_ALL, &vrs),
	    EBUSY);
	CHECK_EQ(client_ioc_intr(v->fd, v->id, 0, 1), 0);
	CHECK_EQ(client_ioc_term(v->fd, v->id), 0);
	v->id = 0;
}

static void
fatal_writes_exit(void)
{
	struct client_vm *v = terminated();

	CHECK(gpr(v, VCPU_REGS_RIP) >= GUEST_ENTRY);
	CHECK(gpr(v, VCPU_REGS_RIP) <= GUEST_ENTRY + 2);
	CHECK_EQ(gpr(v, VCPU_REGS_RFLAGS) & 0x200, 0);
}

static void
triple(void)
{
	struct client_vm *v = new_guest("triple", NULL);
	int i;

	for (i = 0; i < 3; i++) {
		CHECK_EQ(run_value(v), (uint32_t)v->nonce);
		run_to(v, NO_IRQ, CLIENT_SHUTDOWN);
		CHECK_EQ(client_start(v, GUEST_LONG), 0);
	}
	CHECK_EQ(run_value(v), (uint32_t)v->nonce);
}

static void
vrs_is_all(void)
{
	struct client_vm *v = new_guest("dr", NULL);
	struct vcpu_reg_state vrs;

	while (client_run(v, NO_IRQ) == 0)
		if (v->exit.vei.vei_port == 0x70)
			break;
	memset(&vrs, 0, sizeof(vrs));
	CHECK_EQ(client_ioc_readregs(v->fd, v->id, 0, VM_RWREGS_ALL, &vrs),
	    0);
	CHECK_EQ(vrs.vrs_drs[VCPU_REGS_DR1], 0x1111);
#define SAME(f)	CHECK(memcmp(v->exit.vrs.f, vrs.f, sizeof(vrs.f)) == 0)
	SAME(vrs_gprs);
	SAME(vrs_crs);
	SAME(vrs_msrs);
	SAME(vrs_drs);
	SAME(vrs_sregs);
#undef SAME
	CHECK_EQ(v->exit.vrs.vrs_gdtr.vsi_base, GUEST_GDT);
	CHECK_EQ(v->exit.vrs.vrs_idtr.vsi_base, TRAP_IDT);
	CHECK_EQ(v->exit.vrs.vrs_idtr.vsi_limit, 4095);
}

/* An address that no client has mapped. */
#define NOWHERE	((struct vm_exit *)0x10)

static void
bad_exit_in(void)
{
	struct client_vm *v = new_guest("out", NULL);
	struct vm_run_params vrp = {
		.vrp_vm_id = v->id, .vrp_continue = 1, .vrp_irq = NO_IRQ,
		.vrp_exit = NOWHERE,
	};

	CHECK_EQ(client_ioc_run(v->fd, &vrp), EFAULT);
	CHECK_EQ(vcpu_state(v->id, 0), VCPU_STATE_STOPPED);
	run_to_mark(v, VEI_DIR_OUT, 0x70, 1);
}

static void
bad_exit_out(void)
{
	struct client_vm *v = new_guest("out", NULL);
	struct vm_run_params vrp = {
		.vrp_vm_id = v->id, .vrp_irq = NO_IRQ, .vrp_exit = NOWHERE,
	};

	CHECK_EQ(client_ioc_run(v->fd, &vrp), EFAULT);
	CHECK_EQ(vcpu_state(v->id, 0), VCPU_STATE_STOPPED);
	run_to_mark(v, VEI_DIR_OUT, 0x71, 2);
}

/* A guest in its loop, RUN by a thread. */
static struct client_vm *
spinning(struct runner *r, uint64_t interrupts)
{
	uint64_t args[8] = { interrupts };
	struct client_vm *v = new_guest("spin", args);

	run_to_io(v, VEI_DIR_OUT, 0x70, 1);
	runner_start(r, v, 0);
	wait_state(v, 0, VCPU_STATE_RUNNING);
	return (v);
}

static struct runner r1, r2;

static void
signal_stops(void)
{
	uint64_t i;

	for (i = 0; i < 2; i++) {
		struct client_vm *v = spinning(&r1, i);

		pause_ms(5);
		CHECK_EQ(vcpu_state(v->id, 0), VCPU_STATE_RUNNING);
		poke(r1.thread);
		runner_join(&r1);
		CHECK_EQ(r1.v.run.vrp_exit_reason, VM_EXIT_NONE);
		CHECK_EQ(r1.v.run.vrp_irqready, i);
		CHECK_EQ(vcpu_state(v->id, 0), VCPU_STATE_STOPPED);
		CHECK_EQ((gpr(&r1.v, VCPU_REGS_RFLAGS) >> 9) & 1, i);
		/* It can go on, and be stopped again. */
		runner_start(&r1, v, 0);
		wait_state(v, 0, VCPU_STATE_RUNNING);
		poke(r1.thread);
		runner_join(&r1);
		CHECK_EQ(r1.v.run.vrp_exit_reason, VM_EXIT_NONE);
	}
}

static void
run_without_exit(void *arg)
{
	struct runner *r = arg;

	r->v.run.vrp_vm_id = r->v.id;
	r->v.run.vrp_irq = NO_IRQ;
	r->v.run.vrp_continue = 0;
	r->v.run.vrp_exit = NULL;
	r->v.run.vrp_irqready = 0xee;
	r->error = client_ioc_run(r->v.fd, &r->v.run);
}

static void
none_with_null(void)
{
	uint64_t args[8] = { 0 };
	struct client_vm *v = new_guest("spin", args);

	run_to_io(v, VEI_DIR_OUT, 0x70, 1);
	r1.v = *v;
	r1.thread = spawn(run_without_exit, &r1);
	wait_state(v, 0, VCPU_STATE_RUNNING);
	poke(r1.thread);
	runner_join(&r1);
	CHECK_EQ(r1.v.run.vrp_exit_reason, VM_EXIT_NONE);
	CHECK_EQ(r1.v.run.vrp_irqready, 0);
}

static void
term_stops(void)
{
	uint64_t i;

	for (i = 0; i < 2; i++) {
		struct client_vm *v = spinning(&r1, i);
		uint32_t id = v->id;

		CHECK_EQ(client_ioc_term(v->fd, id), 0);
		v->id = 0;
		CHECK_EQ(vcpu_state(id, 0), VCPU_STATE_UNKNOWN);
		CHECK_EQ(client_ioc_term(conform_fd, id), ENOENT);
		CHECK_EQ(client_ioc_intr(conform_fd, id, 0, 1), ENOENT);
		runner_join(&r1);
		CHECK_EQ(r1.v.run.vrp_exit_reason, VM_EXIT_TERMINATED);
		CHECK_EQ(vm_count(), 0);
	}
}

static void
running_is_busy(void)
{
	struct client_vm *v = spinning(&r1, 0);
	struct vcpu_reg_state vrs;
	struct client_vm other = *v;

	memset(&vrs, 0, sizeof(vrs));
	CHECK_EQ(client_run(&other, NO_IRQ), EBUSY);
	CHECK_EQ(client_start(&other, GUEST_LONG), EBUSY);
	CHECK_EQ(client_ioc_readregs(v->fd, v->id, 0, VM_RWREGS_ALL, &vrs),
	    EBUSY);
	CHECK_EQ(client_ioc_writeregs(v->fd, v->id, 0, 0, &vrs), EBUSY);
	CHECK_EQ(client_ioc_mprotect(v->fd, v->id, 0, 0x200000, 0x1000, 1),
	    EBUSY);
	CHECK_EQ(vcpu_state(v->id, 0), VCPU_STATE_RUNNING);
}

static void
others_live(void)
{
	struct client_vm *other;

	spinning(&r1, 0);
	spinning(&r2, 1);
	other = new_guest("out", NULL);
	run_to_mark(other, VEI_DIR_OUT, 0x70, 1);
	CHECK_EQ(vcpu_state(r1.v.id, 0), VCPU_STATE_RUNNING);
	CHECK_EQ(vcpu_state(r2.v.id, 0), VCPU_STATE_RUNNING);
}

static void
entry_refused(void)
{
	struct client_vm *v = new_guest("out", NULL);
	struct vcpu_reg_state vrs;

	/* Long mode without PAE: each register is legal, together they are
	 * not. */
	run_to_mark(v, VEI_DIR_OUT, 0x70, 1);
	CHECK_EQ(client_ioc_readregs(v->fd, v->id, 0, VM_RWREGS_CRS, &vrs),
	    0);
	vrs.vrs_crs[VCPU_REGS_CR4] &= ~0x20UL;
	CHECK_EQ(client_ioc_writeregs(v->fd, v->id, 0, VM_RWREGS_CRS, &vrs),
	    0);
	run_fails(v, EINVAL);
	/* The host's own state did not get into the guest's registers. */
	memset(&vrs, 0, sizeof(vrs));
	CHECK_EQ(client_ioc_readregs(v->fd, v->id, 0, VM_RWREGS_ALL, &vrs),
	    0);
	CHECK_EQ(vrs.vrs_gprs[VCPU_REGS_RIP], gpr(v, VCPU_REGS_RBX));
	CHECK_EQ(vrs.vrs_crs[VCPU_REGS_CR3], GUEST_PML4);
	CHECK_EQ(vrs.vrs_sregs[VCPU_REGS_CS].vsi_sel, GUEST_CS);
}

const struct clause exit_run[] = {
	{ "3.2.hlt", "HLT with IF=1 exits, RIP behind it, irqready 1",
	    LAYER_EXIT, MATCH, hlt, NULL },
	{ "3.2.hlt-if0", "HLT with IF=0 is EIO and ends the VCPU",
	    LAYER_EXIT, MATCH, hlt_if0, NULL },
	{ "F8.ended", "a TERMINATED VCPU: READREGS, INTR, TERM only",
	    LAYER_EXIT, FIX, terminated_vcpu, NULL },
	{ "F12.fatal", "a RUN that fails writes vrp_exit all the same",
	    LAYER_EXIT, FIX, fatal_writes_exit, NULL },
	{ "3.2.triple", "a triple fault exits; RESETCPU reboots",
	    LAYER_EXIT, MATCH, triple, "SVM 0x7f, VMX 2" },
	{ "3.2.vrs", "vrp_exit has what READREGS has, all groups",
	    LAYER_EXIT, MATCH, vrs_is_all, NULL },
	{ "F3.exit-in", "vrp_continue with a bad vrp_exit: EFAULT, STOPPED",
	    LAYER_EXIT, FIX, bad_exit_in, NULL },
	{ "3.2.exit-out", "a bad vrp_exit at the end: EFAULT, STOPPED",
	    LAYER_EXIT, MATCH, bad_exit_out, NULL },
	{ "C7.signal", "a signal ends RUN with 0 and VM_EXIT_NONE",
	    LAYER_EXIT, MATCH, signal_stops, NULL },
	{ "F12.null", "VM_EXIT_NONE writes irqready, forgives a NULL vrp_exit",
	    LAYER_EXIT, FIX, none_with_null, NULL },
	{ "3.2.term", "TERM ends RUN with 0 and VM_EXIT_TERMINATED",
	    LAYER_EXIT, MATCH, term_stops, NULL },
	{ "F8.spinning", "a RUNNING VCPU is EBUSY to all but INTR, INFO, TERM",
	    LAYER_EXIT, FIX, running_is_busy, NULL },
	{ "3.2.spin", "guests that spin, IF 0 and 1, let other VMs run",
	    LAYER_EXIT, MATCH, others_live, NULL },
	{ "F11.entry", "a state that cannot be entered: EINVAL, kept as it is",
	    LAYER_EXIT, FIX, entry_refused, NULL },
	CLAUSE_END
};
